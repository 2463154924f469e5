#include "ops/convert/importance.hpp"

#include "core/memory/mapped_file.hpp"
#include "core/model/gguf_format.hpp"

#include <cmath>
#include <cstring>

namespace seacliff::convert {
namespace {

using gguf::quote;

class Reader {
public:
  Reader(std::span<const std::byte> bytes, const std::string& file) : left_(bytes), file_(file) {}

  [[noreturn]] void fail(std::string_view what) const {
    throw Error(Code::data_loss, fmt::format("{}: {}", file_, what), "give an imatrix file in the `.dat` layout");
  }
  std::span<const std::byte> take(std::size_t bytes, std::string_view what) {
    if (bytes > left_.size()) fail(fmt::format("{} runs past the end of the file", what));
    const auto taken = left_.first(bytes);
    left_ = left_.subspan(bytes);
    return taken;
  }
  /// A count or a length: never negative.
  std::int32_t size(std::string_view what) {
    std::int32_t value;
    std::memcpy(&value, take(sizeof value, what).data(), sizeof value);
    if (value < 0) fail(fmt::format("{} is negative", what));
    return value;
  }
  std::string text(std::string_view what) {
    const auto bytes = take(static_cast<std::size_t>(size(what)), what);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  bool done() const { return left_.empty(); }

private:
  std::span<const std::byte> left_;
  const std::string& file_;
};

} // namespace

Importance Importance::load(const std::filesystem::path& path) {
  const MappedFile file = MappedFile::open(path);
  return parse(file.bytes(), path.string());
}

Importance Importance::parse(std::span<const std::byte> bytes, std::string name) {
  Importance out;
  out.name_ = std::move(name);
  Reader reader(bytes, out.name_);
  if (bytes.size() >= gguf::k_magic.size() &&
      std::memcmp(bytes.data(), gguf::k_magic.data(), gguf::k_magic.size()) == 0)
    reader.fail("this is a GGUF file");
  const std::int32_t count = reader.size("the number of entries");
  for (std::int32_t i = 0; i < count; ++i) {
    const std::string tensor = reader.text("the name of an entry");
    const std::string what = fmt::format("entry {}", quote(tensor));
    const std::int32_t calls = reader.size(what);
    const auto n_values = static_cast<std::size_t>(reader.size(what));
    const auto raw = reader.take(n_values * sizeof(float), what); // before memory is asked for
    std::vector<float> values(n_values);
    std::memcpy(values.data(), raw.data(), raw.size());
    for (float& value : values) {
      if (!(value >= 0) || !std::isfinite(value))
        reader.fail(fmt::format("{} holds a value that is no sum of squares", what));
      if (calls > 0) value /= static_cast<float>(calls);
    }
    if (!out.by_tensor_.emplace(tensor, std::move(values)).second) reader.fail(fmt::format("{} appears twice", what));
  }
  if (reader.done()) return out; // old files end here
  out.chunks_ = reader.size("the number of chunks");
  if (!reader.done()) out.dataset_ = reader.text("the name of the data set");
  return out;
}

std::span<const float> Importance::columns(std::string_view tensor, std::int64_t expert, std::int64_t n_experts,
                                           std::int64_t cols) const {
  const auto check = [&](const std::string& entry, std::size_t found, std::int64_t wanted) {
    if (found == static_cast<std::size_t>(wanted)) return;
    throw Error(Code::invalid_argument,
                fmt::format("{}: entry {} has {} values, the tensor wants {}", name_, quote(entry), found, wanted),
                "give the imatrix of this very model");
  };
  if (const auto packed = by_tensor_.find(tensor); packed != by_tensor_.end()) {
    check(packed->first, packed->second.size(), n_experts * cols);
    return std::span(packed->second).subspan(static_cast<std::size_t>(expert * cols), static_cast<std::size_t>(cols));
  }
  for (const char separator : {'.', '_'}) {
    const auto single = by_tensor_.find(fmt::format("{}.expert{}{}", tensor, separator, expert));
    if (single == by_tensor_.end()) continue;
    check(single->first, single->second.size(), cols);
    return single->second;
  }
  return {};
}

} // namespace seacliff::convert
