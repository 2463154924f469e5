// What the kernel sources of one instruction set define for its table.
#pragma once

#include "isa.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

extern const Format formats[];
extern const std::int64_t n_formats;
std::uint64_t many_scratch(std::int64_t tokens);
std::uint64_t gemm_scratch(std::int64_t tokens);
/// Products of plain formats for sets with tile registers (SCF_HAS_TILES), where `takes` says that they are quicker.
std::uint64_t plain_tiles_scratch(std::int64_t tokens);
bool plain_tiles_takes(DType dtype, const GemmArgs& args);
void plain_tiles(DType dtype, const GemmArgs& args);
void plain_tiles_pack(const PackArgs& args); // for act8
/// Attention and indexer for sets with tile registers (SCF_HAS_TILES), where `takes` says that the shapes fit.
std::uint64_t attend_tiles_scratch(std::int64_t heads, std::int64_t dim, bool act8);
bool attend_tiles_takes(std::int64_t heads, std::int64_t dim, bool rounded);
void attend_tiles(const AttendArgs& args);
bool index_score_tiles_takes(const IndexScoreArgs& args);
void index_score_tiles(const IndexScoreArgs& args);
void quantise(Act act, const float* x, std::int64_t begin, std::int64_t n, std::int64_t k, std::byte* out, bool sums);

float sum_squares(const float* x, std::int64_t n);
void scale_by(const float* x, float scale, const float* w, float* out, std::int64_t n);
void add(const float* a, const float* b, float* out, std::int64_t n);
void swiglu(const float* g, const float* u, float weight, float clamp, float* out, std::int64_t n);
void sqrt_softplus(const float* x, float* out, std::int64_t n);
void to_half(const float* x, std::byte* out, std::int64_t n);
void from_half(const std::byte* x, float* out, std::int64_t n);
void round_kv8(float* x, std::int64_t n);
void round_idx4(float* x, std::int64_t n);
void mix(const MixArgs& args);
const BriefRows* brief_rows();

std::uint64_t attend_scratch(std::int64_t heads, std::int64_t dim, bool act8);
std::int64_t attend_together(std::int64_t heads, std::int64_t dim, bool rounded);
void attend(const AttendArgs& args);
void index_score(const IndexScoreArgs& args);
void pool(const float* const* value, const float* const* score, std::int64_t rows, std::int64_t n, float* out);

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
