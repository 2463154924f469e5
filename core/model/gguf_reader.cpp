// Reads GGUF. The one rule: nothing in the file is believed before it has been compared with what is left of the file.
#include "core/memory/mapped_file.hpp"
#include "core/model/gguf.hpp"
#include "core/model/gguf_format.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <system_error>
#include <type_traits>
#include <unordered_map>
#include <utility>

namespace seacliff {
namespace {

using gguf::quote;
using gguf::ValueType;

constexpr std::string_view k_fetch_again = "the file is damaged or incomplete: fetch or convert it again";

// Far above what any model has, low enough that a hostile file cannot fill the memory.
constexpr std::uint64_t k_max_keys = 1u << 16;
constexpr std::uint64_t k_max_tensors = 1u << 20;
constexpr std::uint64_t k_max_elements = 1u << 24; // of all metadata arrays together
constexpr int k_max_nesting = 8;

constexpr std::uint64_t k_min_key_bytes = 8 + 4 + 1;            // length, type, smallest value
constexpr std::uint64_t k_min_tensor_bytes = 8 + 4 + 8 + 4 + 8; // name length, rank, one dimension, type, offset
constexpr std::uint64_t k_header_bytes = 4 + 4 + 8 + 8;
constexpr std::uint64_t k_array_header_bytes = 4 + 8;

/// Bytes of a scalar, or the fewest that a string or an array takes; 0 for an unknown type.
std::uint64_t min_bytes(ValueType type) {
  switch (type) {
  case ValueType::u8:
  case ValueType::i8:
  case ValueType::boolean: return 1;
  case ValueType::u16:
  case ValueType::i16: return 2;
  case ValueType::u32:
  case ValueType::i32:
  case ValueType::f32: return 4;
  case ValueType::u64:
  case ValueType::i64:
  case ValueType::f64:
  case ValueType::string: return 8;
  case ValueType::array: return k_array_header_bytes;
  }
  return 0;
}

class Parser {
public:
  Parser(std::span<const std::byte> bytes, const std::string& file) : bytes_(bytes), file_(file) {}

  std::uint32_t header();
  void metadata(std::map<std::string, GgufValue, std::less<>>& out);
  void tensors(std::vector<GgufTensor>& out);
  void place(std::vector<GgufTensor>& tensors, std::uint64_t alignment) const;

  template <typename... Args> [[noreturn]] void damaged(fmt::format_string<Args...> f, Args&&... args) const {
    throw Error(Code::data_loss, file_ + ": " + fmt::format(f, std::forward<Args>(args)...),
                std::string(k_fetch_again));
  }
  template <typename... Args>
  [[noreturn]] void refuse(Code code, std::string mend, fmt::format_string<Args...> f, Args&&... args) const {
    throw Error(code, file_ + ": " + fmt::format(f, std::forward<Args>(args)...), std::move(mend));
  }

private:
  std::uint64_t left() const { return bytes_.size() - pos_; }
  void reject_other_format() const;
  template <typename T> T read(std::string_view what);
  std::string_view string(std::string_view what);
  std::string name(std::string_view what);
  GgufValue value(ValueType type, const std::string& key);
  GgufValue scalar(ValueType type, const std::string& key);
  void array(const std::string& key, std::optional<GgufValue>& out, int depth);
  void element(ValueType type, const std::string& key, std::optional<GgufValue>& out);
  template <typename T> void append(std::optional<GgufValue>& out, T element, const std::string& key) const;
  GgufTensor tensor();

  std::span<const std::byte> bytes_;
  const std::string& file_;
  std::uint64_t pos_ = 0;
  std::uint64_t n_keys_ = 0, n_tensors_ = 0, n_elements_ = 0;
};

template <typename T> T Parser::read(std::string_view what) {
  static_assert(std::is_trivially_copyable_v<T>);
  if (left() < sizeof(T)) damaged("ends inside {} (byte {} of {})", what, pos_, bytes_.size());
  T out;
  std::memcpy(&out, bytes_.data() + pos_, sizeof(T));
  pos_ += sizeof(T);
  return out;
}

std::string_view Parser::string(std::string_view what) {
  const auto length = read<std::uint64_t>(what);
  if (length > left())
    damaged("{} is said to be {} bytes long, but only {} are left in the file (at byte {})", what, length, left(),
            pos_);
  const std::string_view out(reinterpret_cast<const char*>(bytes_.data() + pos_), length);
  pos_ += length;
  return out;
}

std::string Parser::name(std::string_view what) {
  const std::uint64_t at = pos_;
  const std::string_view out = string(what);
  if (out.empty()) damaged("{} is empty (at byte {})", what, at);
  if (out.size() > gguf::k_max_name)
    damaged("{} is {} bytes long, the limit is {}", what, out.size(), gguf::k_max_name);
  return std::string(out);
}

void Parser::reject_other_format() const {
  const std::string_view text(reinterpret_cast<const char*>(bytes_.data()), std::min<std::size_t>(bytes_.size(), 64));
  if (text.starts_with(gguf::k_magic)) return;
  if (text.starts_with("FUGG"))
    refuse(Code::unimplemented, "convert it on a little-endian machine", "is a big-endian GGUF file");
  if (text.starts_with("version https://git-lfs"))
    refuse(Code::invalid_argument, "run `git lfs pull`", "is a Git LFS pointer, not the model itself");
  std::uint64_t json_bytes = 0;
  if (bytes_.size() > 8) std::memcpy(&json_bytes, bytes_.data(), 8);
  if (text.size() > 8 && text[8] == '{' && json_bytes <= bytes_.size() - 8)
    refuse(Code::invalid_argument, "convert its folder: `seacliff quantize --in DIR --out FILE.gguf --recipe q4`",
           "is a safetensors file, not a GGUF file");
  refuse(Code::invalid_argument, "give a .gguf file", "is not a GGUF file: it begins with {}, not \"GGUF\"",
         quote(text.substr(0, 4)));
}

std::uint32_t Parser::header() {
  reject_other_format();
  if (bytes_.size() < k_header_bytes) damaged("ends inside the header ({} bytes)", bytes_.size());
  pos_ = gguf::k_magic.size();
  const auto version = read<std::uint32_t>("the header");
  if (version != 0 && (version & 0xffffu) == 0)
    refuse(Code::unimplemented, "convert it on a little-endian machine", "is a big-endian GGUF file");
  if (version == 1)
    refuse(Code::unimplemented, "convert the model again with a current tool", "is GGUF version 1, which is obsolete");
  if (version != 2 && version != gguf::k_version)
    refuse(Code::unimplemented, "use a file of version 2 or 3", "is GGUF version {}, which is not known", version);
  n_tensors_ = read<std::uint64_t>("the header");
  n_keys_ = read<std::uint64_t>("the header");
  if (n_keys_ > std::min(k_max_keys, left() / k_min_key_bytes))
    damaged("the header claims {} metadata keys, more than can be in {} bytes or than any model has", n_keys_, left());
  if (n_tensors_ > std::min(k_max_tensors, left() / k_min_tensor_bytes))
    damaged("the header claims {} tensors, more than can be in {} bytes or than any model has", n_tensors_, left());
  return version;
}

void Parser::metadata(std::map<std::string, GgufValue, std::less<>>& out) {
  for (std::uint64_t i = 0; i < n_keys_; ++i) {
    const std::string key = name("a metadata key");
    if (out.contains(key)) damaged("metadata key {} occurs twice", quote(key));
    const auto type = static_cast<ValueType>(read<std::uint32_t>("a metadata type"));
    out.emplace(key, value(type, key));
  }
}

GgufValue Parser::value(ValueType type, const std::string& key) {
  if (type != ValueType::array) return scalar(type, key);
  std::optional<GgufValue> out;
  array(key, out, 1);
  return out ? std::move(*out) : GgufValue(std::vector<std::int64_t>{});
}

GgufValue Parser::scalar(ValueType type, const std::string& key) {
  switch (type) {
  case ValueType::u8: return std::uint64_t{read<std::uint8_t>(key)};
  case ValueType::u16: return std::uint64_t{read<std::uint16_t>(key)};
  case ValueType::u32: return std::uint64_t{read<std::uint32_t>(key)};
  case ValueType::u64: return read<std::uint64_t>(key);
  case ValueType::i8: return std::int64_t{read<std::int8_t>(key)};
  case ValueType::i16: return std::int64_t{read<std::int16_t>(key)};
  case ValueType::i32: return std::int64_t{read<std::int32_t>(key)};
  case ValueType::i64: return read<std::int64_t>(key);
  case ValueType::f32: return double{read<float>(key)};
  case ValueType::f64: return read<double>(key);
  case ValueType::string: return std::string(string("a metadata string"));
  case ValueType::boolean: {
    const auto byte = read<std::uint8_t>(key);
    if (byte > 1) damaged("metadata key {} is a boolean with the value {}", quote(key), byte);
    return byte == 1;
  }
  case ValueType::array: break;
  }
  damaged("metadata key {} has the unknown type {}", quote(key), static_cast<std::uint32_t>(type));
}

void Parser::array(const std::string& key, std::optional<GgufValue>& out, int depth) {
  if (depth > k_max_nesting) damaged("metadata key {} nests arrays deeper than {} levels", quote(key), k_max_nesting);
  const auto type = static_cast<ValueType>(read<std::uint32_t>("an array's type"));
  const auto count = read<std::uint64_t>("an array's length");
  const std::uint64_t bytes = min_bytes(type);
  if (bytes == 0)
    damaged("metadata key {} is an array of the unknown type {}", quote(key), static_cast<std::uint32_t>(type));
  if (count > left() / bytes)
    damaged("metadata key {} claims {} elements, but only {} bytes are left in the file", quote(key), count, left());
  n_elements_ += count; // no overflow: each count is below the file size, and the sum is checked each time
  if (n_elements_ > k_max_elements)
    damaged("the metadata arrays up to key {} claim {} elements, the limit is {}", quote(key), n_elements_,
            k_max_elements);
  if (count == 0 && !out) {
    if (type == ValueType::string) out = std::vector<std::string>{};
    if (type == ValueType::f32 || type == ValueType::f64) out = std::vector<double>{};
  }
  for (std::uint64_t i = 0; i < count; ++i) {
    if (type == ValueType::array)
      array(key, out, depth + 1);
    else
      element(type, key, out);
  }
}

void Parser::element(ValueType type, const std::string& key, std::optional<GgufValue>& out) {
  std::visit(
      [&]<typename T>(T&& one) {
        using V = std::decay_t<T>;
        if constexpr (std::is_same_v<V, std::uint64_t>)
          append(out, static_cast<std::int64_t>(std::min<std::uint64_t>(one, std::numeric_limits<std::int64_t>::max())),
                 key);
        else if constexpr (std::is_same_v<V, bool>)
          append(out, std::int64_t{one}, key);
        else if constexpr (std::is_same_v<V, std::int64_t> || std::is_same_v<V, double> ||
                           std::is_same_v<V, std::string>)
          append(out, std::forward<T>(one), key);
      },
      scalar(type, key));
}

template <typename T> void Parser::append(std::optional<GgufValue>& out, T element, const std::string& key) const {
  if (!out) out = std::vector<T>{};
  auto* list = std::get_if<std::vector<T>>(&*out);
  if (!list) damaged("metadata key {} mixes element types in nested arrays", quote(key));
  list->push_back(std::move(element));
}

GgufTensor Parser::tensor() {
  GgufTensor out;
  out.name = name("a tensor name");
  const auto rank = read<std::uint32_t>("a tensor's rank");
  if (rank < 1 || rank > gguf::k_max_dims)
    damaged("tensor {} has {} dimensions, must be 1 to {}", quote(out.name), rank, gguf::k_max_dims);
  std::vector<std::int64_t> ne;
  std::uint64_t elements = 1;
  for (std::uint32_t i = 0; i < rank; ++i) {
    const auto n = read<std::uint64_t>("a tensor's dimensions");
    if (n == 0) damaged("tensor {} has a dimension of 0", quote(out.name));
    if (__builtin_mul_overflow(elements, n, &elements) || elements > std::numeric_limits<std::int64_t>::max())
      damaged("the dimensions of tensor {} multiply to more than 2^63", quote(out.name));
    ne.push_back(static_cast<std::int64_t>(n));
  }
  const auto number = read<std::uint32_t>("a tensor's type");
  out.offset = read<std::uint64_t>("a tensor's offset");
  const DTypeInfo* type = find_dtype(number);
  if (!type) {
    std::string known;
    for (const DTypeInfo& info : k_dtypes) known += fmt::format("{}{}", known.empty() ? "" : ", ", info.name);
    refuse(Code::unimplemented, "requantise the model with types among " + known,
           "tensor {} has the type {}, which is not supported", quote(out.name), gguf::describe_type(number));
  }
  out.dtype = type->dtype;
  if (ne[0] % type->block_elems != 0)
    damaged("tensor {} has rows of {} elements, not a multiple of the {} that {} packs", quote(out.name), ne[0],
            type->block_elems, type->name);
  if (__builtin_mul_overflow(elements / type->block_elems, std::uint64_t{type->block_bytes}, &out.bytes))
    damaged("tensor {} is larger than 2^64 bytes", quote(out.name));
  while (ne.size() > 1 && ne.back() == 1) ne.pop_back();
  out.dims.assign(ne.rbegin(), ne.rend());
  return out;
}

void Parser::tensors(std::vector<GgufTensor>& out) {
  out.reserve(n_tensors_);
  for (std::uint64_t i = 0; i < n_tensors_; ++i) out.push_back(tensor());
}

void Parser::place(std::vector<GgufTensor>& tensors, std::uint64_t alignment) const {
  const std::uint64_t start = (pos_ + alignment - 1) / alignment * alignment; // no overflow: pos_ is a size in memory
  const std::uint64_t room = start < bytes_.size() ? bytes_.size() - start : 0;
  for (GgufTensor& tensor : tensors) {
    if (tensor.offset % alignment != 0)
      damaged("tensor {} is at offset {}, not a multiple of the alignment {}", quote(tensor.name), tensor.offset,
              alignment);
    if (tensor.offset > room || tensor.bytes > room - tensor.offset)
      damaged("tensor {} ({} bytes at offset {}) reaches beyond the {} bytes of tensor data in the file",
              quote(tensor.name), tensor.bytes, tensor.offset, room);
    tensor.offset += start;
    tensor.data = bytes_.data() + tensor.offset;
  }
}

std::optional<std::uint64_t> natural_number(const GgufValue& value) {
  if (const auto* u = std::get_if<std::uint64_t>(&value)) return *u;
  const auto* i = std::get_if<std::int64_t>(&value);
  return i && *i >= 0 ? std::optional<std::uint64_t>(*i) : std::nullopt;
}

/// Bytes covered by at least one tensor.
std::uint64_t covered_bytes(std::span<const GgufTensor> tensors) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
  ranges.reserve(tensors.size());
  for (const GgufTensor& tensor : tensors) ranges.emplace_back(tensor.offset, tensor.offset + tensor.bytes);
  std::sort(ranges.begin(), ranges.end());
  std::uint64_t sum = 0, end = 0;
  for (const auto& [from, to] : ranges) {
    sum += to - std::min(to, std::max(from, end));
    end = std::max(end, to);
  }
  return sum;
}

} // namespace

struct GgufFile::Impl {
  std::string name;
  std::optional<MappedFile> mapping;
  std::span<const std::byte> bytes;
  std::uint32_t version = 0;
  std::uint64_t alignment = gguf::k_default_alignment;
  std::uint64_t data_bytes = 0;
  std::map<std::string, GgufValue, std::less<>> metadata;
  std::vector<GgufTensor> tensors;
  std::unordered_map<std::string_view, const GgufTensor*> by_name;

  [[noreturn]] void wrong_type(std::string_view key, std::string_view wanted) const {
    throw Error(Code::invalid_argument, fmt::format("{}: metadata key {} is not {}", name, quote(key), wanted),
                "convert the model again with a current tool");
  }
  const GgufValue* value(std::string_view key) const {
    const auto it = metadata.find(key);
    return it == metadata.end() ? nullptr : &it->second;
  }
  template <typename T> const T* get(std::string_view key, std::string_view wanted) const {
    const GgufValue* found = value(key);
    if (!found) return nullptr;
    const T* out = std::get_if<T>(found);
    if (!out) wrong_type(key, wanted);
    return out;
  }
  void load();
};

void GgufFile::Impl::load() {
  Parser parser(bytes, name);
  version = parser.header();
  parser.metadata(metadata);
  if (const GgufValue* given = value(gguf::k_alignment_key)) {
    const std::optional<std::uint64_t> number = natural_number(*given);
    if (!number || !gguf::valid_alignment(*number))
      parser.damaged("{} must be a power of two from {} to {}", gguf::k_alignment_key, gguf::k_min_alignment,
                     gguf::k_max_alignment);
    alignment = *number;
  }
  if (const GgufValue* given = value("split.count")) {
    const std::optional<std::uint64_t> count = natural_number(*given);
    if (count && *count > 1)
      parser.refuse(Code::unimplemented, "join the shards into one file first (`llama-gguf-split --merge`)",
                    "is one of {} shards of a split model", *count);
  }
  parser.tensors(tensors);
  by_name.reserve(tensors.size());
  for (const GgufTensor& tensor : tensors)
    if (!by_name.emplace(tensor.name, &tensor).second) parser.damaged("tensor {} occurs twice", quote(tensor.name));
  parser.place(tensors, alignment);
  data_bytes = covered_bytes(tensors);
}

GgufFile::GgufFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
GgufFile::GgufFile(GgufFile&&) noexcept = default;
GgufFile& GgufFile::operator=(GgufFile&&) noexcept = default;
GgufFile::~GgufFile() = default;

GgufFile GgufFile::open(const std::filesystem::path& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored))
    throw Error(
        Code::invalid_argument, fmt::format("{}: is a directory, not a GGUF file", path.string()),
        "name the .gguf file, or convert a checkpoint: `seacliff quantize --in DIR --out FILE.gguf --recipe q4`");
  auto impl = std::make_unique<Impl>();
  impl->mapping = MappedFile::open(path);
  impl->name = impl->mapping->name();
  impl->bytes = impl->mapping->bytes();
  impl->load();
  return GgufFile(std::move(impl));
}

GgufFile GgufFile::parse(std::span<const std::byte> bytes, std::string name) {
  auto impl = std::make_unique<Impl>();
  impl->name = std::move(name);
  impl->bytes = bytes;
  if (bytes.empty()) throw Error(Code::data_loss, impl->name + ": the file is empty", "fetch or write it again");
  impl->load();
  return GgufFile(std::move(impl));
}

const std::string& GgufFile::name() const { return impl_->name; }
std::uint64_t GgufFile::file_bytes() const { return impl_->bytes.size(); }
std::uint64_t GgufFile::data_bytes() const { return impl_->data_bytes; }
std::uint32_t GgufFile::version() const { return impl_->version; }
std::uint64_t GgufFile::alignment() const { return impl_->alignment; }
const MappedFile* GgufFile::mapping() const { return impl_->mapping ? &*impl_->mapping : nullptr; }
void GgufFile::copy_into_memory() {
  if (impl_->mapping) impl_->mapping->copy_into_memory();
}
const std::map<std::string, GgufValue, std::less<>>& GgufFile::metadata() const { return impl_->metadata; }
bool GgufFile::has(std::string_view key) const { return impl_->value(key) != nullptr; }
std::span<const GgufTensor> GgufFile::tensors() const { return impl_->tensors; }

const GgufTensor* GgufFile::find(std::string_view tensor) const {
  const auto it = impl_->by_name.find(tensor);
  return it == impl_->by_name.end() ? nullptr : it->second;
}

std::optional<std::int64_t> GgufFile::get_int(std::string_view key) const {
  const GgufValue* value = impl_->value(key);
  if (!value) return std::nullopt;
  if (const auto* i = std::get_if<std::int64_t>(value)) return *i;
  const auto* u = std::get_if<std::uint64_t>(value);
  if (!u) impl_->wrong_type(key, "an integer");
  if (*u > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    throw Error(Code::out_of_range,
                fmt::format("{}: metadata key {} is {}, which is too large", name(), quote(key), *u),
                std::string(k_fetch_again));
  return static_cast<std::int64_t>(*u);
}

std::optional<double> GgufFile::get_float(std::string_view key) const {
  const GgufValue* value = impl_->value(key);
  if (!value) return std::nullopt;
  if (const auto* d = std::get_if<double>(value)) return *d;
  if (const auto* i = std::get_if<std::int64_t>(value)) return static_cast<double>(*i);
  if (const auto* u = std::get_if<std::uint64_t>(value)) return static_cast<double>(*u);
  impl_->wrong_type(key, "a number");
}

std::optional<bool> GgufFile::get_bool(std::string_view key) const {
  const bool* value = impl_->get<bool>(key, "a boolean");
  return value ? std::optional<bool>(*value) : std::nullopt;
}

const std::string* GgufFile::get_string(std::string_view key) const { return impl_->get<std::string>(key, "a string"); }

const std::vector<std::int64_t>* GgufFile::get_ints(std::string_view key) const {
  return impl_->get<std::vector<std::int64_t>>(key, "an array of integers");
}

const std::vector<std::string>* GgufFile::get_strings(std::string_view key) const {
  return impl_->get<std::vector<std::string>>(key, "an array of strings");
}

std::optional<std::vector<double>> GgufFile::get_floats(std::string_view key) const {
  const GgufValue* value = impl_->value(key);
  if (!value) return std::nullopt;
  if (const auto* list = std::get_if<std::vector<double>>(value)) return *list;
  if (const auto* list = std::get_if<std::vector<std::int64_t>>(value))
    return std::vector<double>(list->begin(), list->end());
  if (std::holds_alternative<std::string>(*value) || std::holds_alternative<std::vector<std::string>>(*value) ||
      std::holds_alternative<bool>(*value))
    impl_->wrong_type(key, "a number or an array of numbers");
  return std::vector<double>{*get_float(key)};
}

} // namespace seacliff
