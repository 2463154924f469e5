#include "ops/cases/data.hpp"

#include "ops/dtype/codec.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace seacliff::ops {
namespace {

constexpr float k_far_off = 1000.0f; // what unused rows of a STATE hold
// Encoding is slow, and six times slower with a sanitizer: further blocks of a weight are copies of these.
#ifdef __SANITIZE_ADDRESS__
constexpr std::size_t k_blocks_made = 48;
#else
constexpr std::size_t k_blocks_made = 96;
#endif

std::uint64_t hash(std::string_view text) { // FNV-1a
  std::uint64_t h = 0xcbf29ce484222325u;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return h;
}

float through_f16(float value) { return dtype::f16_to_f32(dtype::f32_to_f16(value)); }

} // namespace

std::uint64_t Random::next() {
  std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

double Random::normal() { // the sum of 12 uniform numbers has variance 1
  double sum = -6.0;
  for (int i = 0; i < 12; ++i) sum += uniform();
  return sum;
}

std::int64_t count_tokens(const Runs& runs) {
  std::int64_t tokens = 0;
  for (const Run& run : runs) tokens += run.tokens;
  return tokens;
}

std::string describe(const Runs& runs) {
  std::string text;
  for (const Run& run : runs) text += fmt::format("{}{}@{}+{}", text.empty() ? "" : " ", run.slot, run.pos, run.tokens);
  return text;
}

std::int64_t start_of(const Runs& runs, std::int64_t slot) {
  const auto run = std::ranges::find(runs, slot, &Run::slot);
  return run == runs.end() ? 0 : run->pos;
}

std::span<const DType> weight_formats() {
  static constexpr DType formats[] = {DType::f32,  DType::f16,  DType::bf16, DType::q8_0,    DType::q2_k, DType::q3_k,
                                      DType::q4_k, DType::q5_k, DType::q6_k, DType::iq2_xxs, DType::mxfp4};
  return formats;
}

std::string_view format_name(DType dtype) { return dtype_info(dtype).name; }

CaseBuilder::CaseBuilder(std::string_view op, std::string name, std::int64_t tokens, Attrs attrs)
    : case_{std::string(op), std::move(name), std::move(attrs), tokens, {}},
      random_(hash(case_.op) ^ (hash(case_.name) << 1)) {}

CaseValue& CaseBuilder::add(DType dtype, std::vector<Dim> dims, std::uint32_t role) {
  ValueType type{dtype, std::move(dims)};
  std::vector<std::byte> data(type.max_bytes());
  return case_.inputs.emplace_back(CaseValue{std::move(type), role, std::move(data)});
}

CaseBuilder& CaseBuilder::activations(std::vector<Dim> dims, double deviation, bool f16) {
  for (float& x : add(DType::f32, std::move(dims), SCF_ROLE_INPUT).as<float>()) {
    x = static_cast<float>(random_.normal() * deviation);
    if (f16) x = through_f16(x);
  }
  return *this;
}

CaseBuilder& CaseBuilder::weight(DType dtype, std::vector<Dim> dims, double deviation, double mean) {
  CaseValue& value = add(dtype, std::move(dims), SCF_ROLE_WEIGHT);
  const DTypeInfo& info = dtype_info(dtype);
  const std::size_t blocks = value.data.size() / info.block_bytes;
  const std::size_t made = info.block_elems == 1 ? blocks : std::min(blocks, k_blocks_made);
  std::vector<float> elems(made * info.block_elems);
  for (float& x : elems) x = static_cast<float>(mean + random_.normal() * deviation);
  dtype::encode_row(dtype, elems, {}, value.data.data());
  for (std::size_t block = made; block < blocks; ++block) {
    const auto from = static_cast<std::size_t>(random_.below(static_cast<std::int64_t>(made)));
    std::copy_n(value.data.data() + from * info.block_bytes, info.block_bytes,
                value.data.data() + block * info.block_bytes);
  }
  return *this;
}

CaseBuilder& CaseBuilder::ids(std::vector<Dim> dims, std::int64_t below, std::uint32_t role) {
  for (std::int32_t& id : add(DType::i32, std::move(dims), role).as<std::int32_t>())
    id = static_cast<std::int32_t>(random_.below(below));
  return *this;
}

CaseBuilder& CaseBuilder::i32(std::vector<Dim> dims, std::vector<std::int32_t> values) {
  std::ranges::copy(values, add(DType::i32, std::move(dims), SCF_ROLE_INPUT).as<std::int32_t>().begin());
  return *this;
}

CaseBuilder& CaseBuilder::f32(std::vector<Dim> dims, std::vector<float> values) {
  std::ranges::copy(values, add(DType::f32, std::move(dims), SCF_ROLE_INPUT).as<float>().begin());
  return *this;
}

CaseBuilder& CaseBuilder::absent() {
  case_.inputs.emplace_back();
  return *this;
}

void CaseBuilder::begin_state(DType dtype, std::vector<Dim> dims) { add(dtype, std::move(dims), SCF_ROLE_STATE); }

void CaseBuilder::fill_state_row(CaseValue& value, std::int64_t slot, std::int64_t row, double deviation) {
  const std::int64_t rows = value.type.dims[1].max;
  const std::int64_t elems = value.type.max_elems() / (value.type.dims[0].max * rows);
  for (std::int64_t i = 0; i < elems; ++i) {
    const auto x = static_cast<float>(deviation > 0 ? random_.normal() * deviation : k_far_off);
    const auto at = static_cast<std::size_t>((slot * rows + row) * elems + i);
    if (value.type.dtype == DType::f16)
      value.as<std::uint16_t>()[at] = dtype::f32_to_f16(x);
    else
      value.as<float>()[at] = x;
  }
}

CaseBuilder& CaseBuilder::positions(const Runs& runs) {
  std::vector<std::int32_t> pos;
  for (const Run& run : runs)
    for (std::int64_t i = 0; i < run.tokens; ++i) pos.push_back(static_cast<std::int32_t>(run.pos + i));
  return i32({T()}, std::move(pos));
}

CaseBuilder& CaseBuilder::batch(const Runs& runs) {
  positions(runs);
  std::vector<std::int32_t> seq;
  std::int64_t first = 0;
  for (const Run& run : runs) {
    for (std::int64_t i = 0; i < run.tokens; ++i)
      for (const std::int64_t x : {run.slot, first, first + run.tokens - 1})
        seq.push_back(static_cast<std::int32_t>(x));
    first += run.tokens;
  }
  return i32({T(), n(3)}, std::move(seq));
}

} // namespace seacliff::ops
