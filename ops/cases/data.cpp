#include "ops/cases/data.hpp"

#include "ops/dtype/codec.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <tuple>

namespace seacliff::ops {
namespace {

constexpr float k_far_off = 1000.0f;       // what unused rows of a STATE hold
constexpr std::int64_t k_blocks_made = 96; // of a format, a mean and a deviation

std::uint64_t hash(std::string_view text) { // FNV-1a
  std::uint64_t h = 0xcbf29ce484222325u;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return h;
}

float through_f16(float value) { return dtype::f16_to_f32(dtype::f32_to_f16(value)); }

std::vector<std::byte> random_weights(DType dtype, std::size_t count, Random& random, double deviation, double mean) {
  const DTypeInfo& info = dtype_info(dtype);
  std::vector<float> elems(count);
  for (float& x : elems) x = static_cast<float>(mean + random.normal() * deviation);
  std::vector<std::byte> encoded(count / info.block_elems * info.block_bytes);
  dtype::encode_row(dtype, elems, {}, encoded.data());
  return encoded;
}

/// What matrices of a format are made of, for encoding is slow: the same blocks for all that are distributed alike.
std::span<const std::byte> random_blocks(DType dtype, double deviation, double mean) {
  static std::mutex mutex;
  static std::map<std::tuple<DType, double, double>, std::vector<std::byte>> made;
  const std::lock_guard lock(mutex);
  std::vector<std::byte>& blocks = made[{dtype, deviation, mean}];
  if (blocks.empty()) {
    Random random(hash(dtype_info(dtype).name));
    blocks = random_weights(dtype, k_blocks_made * dtype_info(dtype).block_elems, random, deviation, mean);
  }
  return blocks;
}

} // namespace

std::uint64_t Random::next() {
  std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

double Random::normal() { // 8 numbers of 16 bits below 1: a mean of 4, less half a bit for each, a variance of 2 / 3
  std::uint64_t sum = 0;
  for (int i = 0; i < 2; ++i)
    for (std::uint64_t bits = next(); bits != 0; bits >>= 16) sum += bits & 0xffff;
  return (static_cast<double>(sum) * 0x1p-16 - (4.0 - 0x1p-14)) * 1.2247448713915890; // sqrt(3 / 2)
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
  if (info.block_elems == 1) {
    value.data = random_weights(dtype, value.data.size() / info.block_bytes, random_, deviation, mean);
    return *this;
  }
  const std::span<const std::byte> blocks = random_blocks(dtype, deviation, mean);
  for (std::size_t at = 0; at < value.data.size(); at += info.block_bytes) {
    const auto from = static_cast<std::size_t>(random_.below(k_blocks_made)) * info.block_bytes;
    std::ranges::copy(blocks.subspan(from, info.block_bytes), value.data.data() + at);
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
