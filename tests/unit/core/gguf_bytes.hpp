// GGUF files put together byte by byte, so that tests can make what the writer refuses to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace seacliff::test {

enum ValueNumber : std::uint32_t { U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 };

class Raw {
public:
  template <typename T> Raw& number(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(value));
    return *this;
  }
  Raw& string(std::string_view text) {
    number(std::uint64_t{text.size()});
    return text_only(text);
  }
  Raw& text_only(std::string_view text) {
    bytes_.append(text);
    return *this;
  }
  const std::string& all() const { return bytes_; }

private:
  std::string bytes_;
};

struct GgufBytes {
  std::uint32_t version = 3;
  std::uint64_t extra_keys = 0, extra_tensors = 0; // claimed by the header, not there
  std::uint64_t alignment = 32;                    // of the padding only; no key is written
  std::size_t data_bytes = 256;

  GgufBytes& key(std::string_view name, std::uint32_t type, const Raw& value) {
    keys_.string(name).number(type).text_only(value.all());
    ++n_keys_;
    return *this;
  }
  template <typename T> GgufBytes& key(std::string_view name, std::uint32_t type, T value) {
    return key(name, type, Raw().number(value));
  }
  GgufBytes& text(std::string_view name, std::string_view value) { return key(name, STRING, Raw().string(value)); }
  GgufBytes& tensor(std::string_view name, std::vector<std::uint64_t> ne, std::uint32_t type = 0,
                    std::uint64_t offset = 0) {
    tensors_.string(name).number(static_cast<std::uint32_t>(ne.size()));
    for (const std::uint64_t n : ne) tensors_.number(n);
    tensors_.number(type).number(offset);
    ++n_tensors_;
    return *this;
  }
  std::string build() const {
    std::string out = Raw()
                          .text_only("GGUF")
                          .number(version)
                          .number(n_tensors_ + extra_tensors)
                          .number(n_keys_ + extra_keys)
                          .text_only(keys_.all())
                          .text_only(tensors_.all())
                          .all();
    out.resize((out.size() + alignment - 1) / alignment * alignment);
    for (std::size_t i = 0; i < data_bytes; ++i) out.push_back(static_cast<char>(i));
    return out;
  }

private:
  Raw keys_, tensors_;
  std::uint64_t n_keys_ = 0, n_tensors_ = 0;
};

inline std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span<const char>(text.data(), text.size()));
}

} // namespace seacliff::test
