#include "core/model/safetensors.hpp"

#include "core/memory/mapped_file.hpp"
#include "core/model/gguf_format.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <optional>
#include <set>

namespace seacliff {
namespace {

using gguf::quote;
using Json = nlohmann::json;

struct TypeRow {
  SafeType type;
  std::string_view name;
  std::uint64_t bytes;
};
constexpr std::array<TypeRow, 16> k_types{{
    {SafeType::boolean, "BOOL", 1},
    {SafeType::u8, "U8", 1},
    {SafeType::i8, "I8", 1},
    {SafeType::f8_e4m3, "F8_E4M3", 1},
    {SafeType::f8_e5m2, "F8_E5M2", 1},
    {SafeType::f8_e8m0, "F8_E8M0", 1},
    {SafeType::u16, "U16", 2},
    {SafeType::i16, "I16", 2},
    {SafeType::f16, "F16", 2},
    {SafeType::bf16, "BF16", 2},
    {SafeType::u32, "U32", 4},
    {SafeType::i32, "I32", 4},
    {SafeType::f32, "F32", 4},
    {SafeType::u64, "U64", 8},
    {SafeType::i64, "I64", 8},
    {SafeType::f64, "F64", 8},
}};

const TypeRow& row_of(SafeType type) {
  return *std::find_if(k_types.begin(), k_types.end(), [&](const TypeRow& row) { return row.type == type; });
}

constexpr std::uint64_t k_length_bytes = 8;
constexpr std::uint64_t k_max_header = 100'000'000; // the limit of the format's own library
constexpr std::size_t k_max_rank = 8;

/// Checks one file; every complaint starts with its name.
class HeaderReader {
public:
  HeaderReader(std::span<const std::byte> bytes, const std::string& file) : bytes_(bytes), file_(file) {}

  std::vector<SafeTensor> read() {
    const std::string_view header = find_header();
    const Json json = parse(header);
    if (!json.is_object()) fail("the header is not a JSON object");
    std::vector<Placed> placed;
    for (const auto& [name, entry] : json.items())
      if (name != "__metadata__") placed.push_back(place(name, entry));
    return lay_out(std::move(placed));
  }

private:
  struct Placed {
    SafeTensor tensor;
    std::uint64_t begin, end;
  };

  [[noreturn]] void fail(std::string message) const {
    throw Error(Code::data_loss, file_ + ": " + std::move(message), "fetch the file again");
  }

  std::string_view find_header() {
    if (bytes_.size() < k_length_bytes) fail("too short for a safetensors file");
    std::uint64_t length;
    std::memcpy(&length, bytes_.data(), k_length_bytes);
    if (length > k_max_header)
      fail(fmt::format("the header claims {} bytes, the format allows {}: not a safetensors file", length,
                       k_max_header));
    if (length > bytes_.size() - k_length_bytes)
      fail(fmt::format("the header claims {} bytes, the file has {}", length, bytes_.size()));
    data_ = bytes_.subspan(k_length_bytes + length);
    return {reinterpret_cast<const char*>(bytes_.data()) + k_length_bytes, static_cast<std::size_t>(length)};
  }

  Json parse(std::string_view header) const {
    std::set<std::string, std::less<>> names;
    const auto check = [&](int depth, Json::parse_event_t event, Json& value) {
      if (depth > 3) fail("the header is nested too deeply");
      if (event == Json::parse_event_t::key && depth == 1 && !names.insert(value.get<std::string>()).second)
        fail(fmt::format("tensor {} appears twice", quote(value.get<std::string>())));
      return true;
    };
    try {
      return Json::parse(header, check);
    } catch (const Json::exception& error) {
      fail(fmt::format("the header is not valid JSON (at byte {})", position(error)));
    }
  }
  static std::size_t position(const Json::exception& error) {
    const auto* parse_error = dynamic_cast<const Json::parse_error*>(&error);
    return parse_error == nullptr ? 0 : parse_error->byte;
  }

  static std::optional<std::uint64_t> whole_number(const Json& value) {
    if (!value.is_number_unsigned()) return std::nullopt;
    return value.get<std::uint64_t>();
  }

  Placed place(const std::string& name, const Json& entry) const {
    const auto complain = [&](std::string_view what) { fail(fmt::format("tensor {}: {}", quote(name), what)); };
    if (!entry.is_object()) complain("its entry is not an object");
    const auto dtype = entry.find("dtype"), shape = entry.find("shape"), offsets = entry.find("data_offsets");
    if (dtype == entry.end() || !dtype->is_string()) complain("dtype is missing or not a string");
    if (shape == entry.end() || !shape->is_array()) complain("shape is missing or not an array");
    if (offsets == entry.end() || !offsets->is_array() || offsets->size() != 2)
      complain("data_offsets is missing or not a pair");

    Placed placed;
    placed.tensor.name = name;
    const auto type_name = dtype->get<std::string>();
    const auto type =
        std::find_if(k_types.begin(), k_types.end(), [&](const TypeRow& row) { return row.name == type_name; });
    if (type == k_types.end()) complain(fmt::format("unknown dtype {}", quote(type_name)));
    placed.tensor.type = type->type;

    if (shape->size() > k_max_rank)
      complain(fmt::format("{} dimensions, at most {} are read", shape->size(), k_max_rank));
    std::uint64_t size = type->bytes;
    for (const Json& dim : *shape) {
      const auto n = whole_number(dim);
      constexpr auto limit = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
      if (!n || *n > limit || __builtin_mul_overflow(size, *n, &size))
        complain("its shape is not a list of sizes that fit");
      placed.tensor.dims.push_back(static_cast<std::int64_t>(*n));
    }

    const auto begin = whole_number((*offsets)[0]), end = whole_number((*offsets)[1]);
    if (!begin || !end || *begin > *end || *end > data_.size())
      complain(fmt::format("its bytes lie outside the file ({} bytes of data)", data_.size()));
    if (*end - *begin != size) complain(fmt::format("{} bytes for a shape that needs {}", *end - *begin, size));
    placed.begin = *begin;
    placed.end = *end;
    placed.tensor.bytes = data_.subspan(*begin, size);
    return placed;
  }

  std::vector<SafeTensor> lay_out(std::vector<Placed> placed) const {
    std::sort(placed.begin(), placed.end(),
              [](const Placed& a, const Placed& b) { return a.begin != b.begin ? a.begin < b.begin : a.end < b.end; });
    std::vector<SafeTensor> tensors;
    std::uint64_t at = 0;
    for (Placed& next : placed) {
      if (next.begin < at) fail(fmt::format("tensor {} overlaps the one before it", quote(next.tensor.name)));
      if (next.begin > at) fail(fmt::format("unused bytes before tensor {}", quote(next.tensor.name)));
      at = next.end;
      tensors.push_back(std::move(next.tensor));
    }
    if (at != data_.size()) fail(fmt::format("{} bytes of data, its tensors cover {}", data_.size(), at));
    return tensors;
  }

  std::span<const std::byte> bytes_, data_;
  const std::string& file_;
};

} // namespace

std::string_view safe_type_name(SafeType type) { return row_of(type).name; }
std::uint64_t safe_type_bytes(SafeType type) { return row_of(type).bytes; }

struct SafetensorsFile::Impl {
  std::optional<MappedFile> mapping;
  std::string name;
  std::vector<SafeTensor> tensors;
  std::vector<std::size_t> by_name; // indices into `tensors`

  void read(std::span<const std::byte> bytes) {
    tensors = HeaderReader(bytes, name).read();
    by_name.resize(tensors.size());
    for (std::size_t i = 0; i < by_name.size(); ++i) by_name[i] = i;
    std::sort(by_name.begin(), by_name.end(),
              [&](std::size_t a, std::size_t b) { return tensors[a].name < tensors[b].name; });
  }
};

SafetensorsFile::SafetensorsFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SafetensorsFile::SafetensorsFile(SafetensorsFile&&) noexcept = default;
SafetensorsFile& SafetensorsFile::operator=(SafetensorsFile&&) noexcept = default;
SafetensorsFile::~SafetensorsFile() = default;

SafetensorsFile SafetensorsFile::open(const std::filesystem::path& path) {
  auto impl = std::make_unique<Impl>();
  impl->mapping = MappedFile::open(path);
  impl->name = impl->mapping->name();
  impl->read(impl->mapping->bytes());
  return SafetensorsFile(std::move(impl));
}

SafetensorsFile SafetensorsFile::parse(std::span<const std::byte> bytes, std::string name) {
  auto impl = std::make_unique<Impl>();
  impl->name = std::move(name);
  impl->read(bytes);
  return SafetensorsFile(std::move(impl));
}

const std::string& SafetensorsFile::name() const { return impl_->name; }
std::span<const SafeTensor> SafetensorsFile::tensors() const { return impl_->tensors; }

const SafeTensor* SafetensorsFile::find(std::string_view tensor) const {
  const auto it = std::lower_bound(impl_->by_name.begin(), impl_->by_name.end(), tensor,
                                   [&](std::size_t i, std::string_view name) { return impl_->tensors[i].name < name; });
  return it != impl_->by_name.end() && impl_->tensors[*it].name == tensor ? &impl_->tensors[*it] : nullptr;
}

} // namespace seacliff
