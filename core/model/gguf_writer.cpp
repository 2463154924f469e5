// Writes GGUF v3: the header is held in memory until the first tensor byte, tensor data goes straight to the file.
#include "core/model/gguf.hpp"
#include "core/model/gguf_format.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <limits>
#include <system_error>
#include <unistd.h>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace seacliff {
namespace {

using gguf::quote;
using gguf::ValueType;

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

class Bytes {
public:
  template <typename T> void number(T value) { raw(&value, sizeof(value)); }
  void string(std::string_view text) {
    number(std::uint64_t{text.size()});
    raw(text.data(), text.size());
  }
  void raw(const void* data, std::size_t size) { bytes_.append(static_cast<const char*>(data), size); }
  const std::string& all() const { return bytes_; }

private:
  std::string bytes_;
};

} // namespace

struct GgufWriter::Impl {
  struct Tensor {
    std::string name;
    DType dtype;
    std::vector<std::int64_t> dims;
    std::uint64_t bytes, offset;
    bool own_bytes;
  };

  std::filesystem::path path, part;
  std::uint32_t alignment;
  Bytes keys;
  std::uint64_t n_keys = 0;
  std::unordered_set<std::string> key_names;
  std::vector<Tensor> tensors;
  std::unordered_map<std::string, std::size_t> by_name;
  std::uint64_t data_bytes = 0; // offset of the next tensor
  std::unique_ptr<std::FILE, CloseFile> file;
  bool header_written = false;
  std::size_t current = 0;   // tensor being written
  std::uint64_t written = 0; // its bytes so far

  [[noreturn]] void fail(Code code, const std::string& message, std::string mend = {}) const {
    throw Error(code, path.string() + ": " + message, std::move(mend));
  }
  std::uint64_t padding(std::uint64_t size) const { return (alignment - size % alignment) % alignment; }

  void start_key(std::string_view key, ValueType type);
  template <typename T> void array(std::string_view key, ValueType type, std::span<const T> values);
  void put(const void* data, std::size_t size);
  void pad(std::uint64_t size);
  void write_header();
  void forget_pages();
  void skip_shared();
};

void GgufWriter::Impl::start_key(std::string_view key, ValueType type) {
  if (header_written)
    fail(Code::failed_precondition, fmt::format("metadata key {} comes after tensor data", quote(key)));
  if (key.empty() || key.size() > gguf::k_max_name)
    fail(Code::invalid_argument,
         fmt::format("metadata key {} is {} bytes long, must be 1 to {}", quote(key), key.size(), gguf::k_max_name));
  if (!key_names.emplace(key).second)
    fail(Code::already_exists, fmt::format("metadata key {} is written twice", quote(key)));
  keys.string(key);
  keys.number(static_cast<std::uint32_t>(type));
  ++n_keys;
}

template <typename T> void GgufWriter::Impl::array(std::string_view key, ValueType type, std::span<const T> values) {
  start_key(key, ValueType::array);
  keys.number(static_cast<std::uint32_t>(type));
  keys.number(std::uint64_t{values.size()});
  if constexpr (std::is_same_v<T, std::string>) {
    for (const std::string& value : values) keys.string(value);
  } else {
    keys.raw(values.data(), values.size_bytes());
  }
}

void GgufWriter::Impl::put(const void* data, std::size_t size) {
  if (size == 0 || std::fwrite(data, 1, size, file.get()) == size) return;
  const int error = errno;
  fail(error == ENOSPC || error == EDQUOT ? Code::resource_exhausted : Code::unavailable,
       "cannot be written: " + std::generic_category().message(error),
       error == ENOSPC ? "free some disk space or choose another place" : "");
}

void GgufWriter::Impl::pad(std::uint64_t size) {
  const std::string zeros(padding(size), '\0');
  put(zeros.data(), zeros.size());
}

void GgufWriter::Impl::write_header() {
  if (header_written) return;
  Bytes head;
  head.raw(gguf::k_magic.data(), gguf::k_magic.size());
  head.number(gguf::k_version);
  head.number(std::uint64_t{tensors.size()});
  head.number(n_keys);
  head.raw(keys.all().data(), keys.all().size());
  for (const Tensor& tensor : tensors) {
    head.string(tensor.name);
    head.number(static_cast<std::uint32_t>(tensor.dims.size()));
    for (auto it = tensor.dims.rbegin(); it != tensor.dims.rend(); ++it) head.number(*it);
    head.number(static_cast<std::uint32_t>(tensor.dtype));
    head.number(tensor.offset);
  }
  // Hours of quantising should not end in a full disk.
  std::error_code unknown;
  const auto disk = std::filesystem::space(part, unknown);
  if (!unknown && disk.available < data_bytes && data_bytes - disk.available > head.all().size())
    fail(Code::resource_exhausted, fmt::format("needs {} bytes of disk space, {} are free", data_bytes, disk.available),
         "free some or choose another place");
  put(head.all().data(), head.all().size());
  pad(head.all().size());
  header_written = true;
  skip_shared();
}

void GgufWriter::Impl::skip_shared() {
  while (current < tensors.size() && !tensors[current].own_bytes) ++current;
}

GgufWriter::GgufWriter(std::filesystem::path path, std::uint32_t alignment) : impl_(std::make_unique<Impl>()) {
  impl_->path = std::move(path);
  impl_->alignment = alignment;
  if (!gguf::valid_alignment(alignment))
    impl_->fail(Code::invalid_argument, fmt::format("alignment {} is not a power of two from {} to {}", alignment,
                                                    gguf::k_min_alignment, gguf::k_max_alignment));
  std::error_code ignored;
  if (std::filesystem::is_directory(impl_->path, ignored))
    impl_->fail(Code::invalid_argument, "is a directory", "name the file to write");
  const std::filesystem::path part = impl_->path.string() + ".part";
  impl_->file.reset(std::fopen(part.c_str(), "wb"));
  if (!impl_->file) {
    const int error = errno;
    impl_->fail(error == ENOENT ? Code::not_found : Code::permission_denied,
                "cannot be created: " + std::generic_category().message(error),
                "check that its folder exists and is writable");
  }
  impl_->part = part; // from here on the destructor removes it
  put_u32(gguf::k_alignment_key, alignment);
}

GgufWriter::~GgufWriter() {
  if (!impl_ || impl_->part.empty()) return;
  impl_->file.reset();
  std::error_code ignored;
  std::filesystem::remove(impl_->part, ignored);
}

void GgufWriter::put_u32(std::string_view key, std::uint32_t value) {
  impl_->start_key(key, ValueType::u32);
  impl_->keys.number(value);
}
void GgufWriter::put_f32(std::string_view key, float value) {
  impl_->start_key(key, ValueType::f32);
  impl_->keys.number(value);
}
void GgufWriter::put_bool(std::string_view key, bool value) {
  impl_->start_key(key, ValueType::boolean);
  impl_->keys.number(static_cast<std::uint8_t>(value));
}
void GgufWriter::put_string(std::string_view key, std::string_view value) {
  impl_->start_key(key, ValueType::string);
  impl_->keys.string(value);
}
void GgufWriter::put_u32s(std::string_view key, std::span<const std::uint32_t> values) {
  impl_->array(key, ValueType::u32, values);
}
void GgufWriter::put_i32s(std::string_view key, std::span<const std::int32_t> values) {
  impl_->array(key, ValueType::i32, values);
}
void GgufWriter::put_f32s(std::string_view key, std::span<const float> values) {
  impl_->array(key, ValueType::f32, values);
}
void GgufWriter::put_strings(std::string_view key, std::span<const std::string> values) {
  impl_->array(key, ValueType::string, values);
}

void GgufWriter::declare(std::string_view tensor, DType dtype, std::span<const std::int64_t> dims,
                         std::string_view same_data_as) {
  Impl& w = *impl_;
  const std::string what = "tensor " + quote(tensor);
  if (w.header_written) w.fail(Code::failed_precondition, what + " is declared after tensor data was written");
  if (tensor.empty() || tensor.size() > gguf::k_max_name) w.fail(Code::invalid_argument, what + " has a bad name");
  if (dims.empty() || dims.size() > gguf::k_max_dims)
    w.fail(Code::invalid_argument,
           fmt::format("{} has {} dimensions, must be 1 to {}", what, dims.size(), gguf::k_max_dims));
  std::uint64_t elements = 1;
  for (const std::int64_t n : dims) {
    if (n <= 0) w.fail(Code::invalid_argument, fmt::format("{} has a dimension of {}", what, n));
    if (__builtin_mul_overflow(elements, static_cast<std::uint64_t>(n), &elements) ||
        elements > std::numeric_limits<std::int64_t>::max() / 8)
      w.fail(Code::out_of_range, what + " is too large");
  }
  const DTypeInfo& type = dtype_info(dtype);
  if (dims.back() % type.block_elems != 0)
    w.fail(Code::invalid_argument, fmt::format("{} has rows of {} elements, not a multiple of the {} that {} packs",
                                               what, dims.back(), type.block_elems, type.name));
  const std::uint64_t bytes = elements / type.block_elems * type.block_bytes;
  std::uint64_t offset = w.data_bytes;
  if (!same_data_as.empty()) {
    const auto other = w.by_name.find(std::string(same_data_as));
    if (other == w.by_name.end())
      w.fail(Code::not_found,
             fmt::format("{} shares the data of {}, which was not declared", what, quote(same_data_as)));
    if (w.tensors[other->second].bytes != bytes)
      w.fail(Code::invalid_argument,
             fmt::format("{} shares the data of {}, which has another size", what, quote(same_data_as)));
    offset = w.tensors[other->second].offset;
  }
  if (!w.by_name.emplace(tensor, w.tensors.size()).second) w.fail(Code::already_exists, what + " is declared twice");
  w.tensors.push_back({std::string(tensor), dtype, {dims.begin(), dims.end()}, bytes, offset, same_data_as.empty()});
  if (same_data_as.empty()) w.data_bytes += bytes + w.padding(bytes);
}

void GgufWriter::write(std::span<const std::byte> bytes) {
  Impl& w = *impl_;
  w.write_header();
  if (bytes.empty()) return;
  if (w.current == w.tensors.size()) w.fail(Code::out_of_range, "more bytes are written than its tensors have");
  const Impl::Tensor& tensor = w.tensors[w.current];
  if (bytes.size() > tensor.bytes - w.written)
    w.fail(Code::out_of_range, fmt::format("tensor {} has {} bytes, {} are written", quote(tensor.name), tensor.bytes,
                                           w.written + bytes.size()));
  w.put(bytes.data(), bytes.size());
  w.written += bytes.size();
  if (w.written < tensor.bytes) return;
  w.pad(tensor.bytes);
  w.written = 0;
  ++w.current;
  w.skip_shared();
}

/// Out of the page cache, where what was written lies in small pages, so that the first load gets large ones.
void GgufWriter::Impl::forget_pages() {
  constexpr std::uint64_t worth_while = std::uint64_t{64} << 20;
  const long end = std::ftell(file.get());
  if (end < 0 || static_cast<std::uint64_t>(end) < worth_while || std::fflush(file.get()) != 0) return;
  const int fd = ::fileno(file.get());
  if (::fdatasync(fd) == 0) ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

void GgufWriter::finish() {
  Impl& w = *impl_;
  if (!w.file) w.fail(Code::failed_precondition, "is finished already");
  w.write_header();
  if (w.current != w.tensors.size())
    w.fail(Code::failed_precondition,
           fmt::format("tensor {} has {} bytes, {} were written", quote(w.tensors[w.current].name),
                       w.tensors[w.current].bytes, w.written));
  w.forget_pages();
  if (std::fclose(w.file.release()) != 0) {
    const int error = errno;
    w.fail(Code::unavailable, "cannot be written: " + std::generic_category().message(error));
  }
  std::error_code error;
  std::filesystem::rename(w.part, w.path, error);
  if (error) w.fail(Code::unavailable, "cannot be renamed into place: " + error.message());
  w.part.clear();
}

} // namespace seacliff
