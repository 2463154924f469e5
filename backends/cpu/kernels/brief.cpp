// Rows of results as f16, between a product of many tokens and the sum of its rows.
#include "kernels/families.hpp"
#include "kernels/simd.hpp"

#ifdef SCF_PANEL_SET

#include "kernels/brief.hpp"

namespace seacliff::cpu::SCF_ISA_NAMESPACE {
namespace {

void round_rows(const float* x, std::int64_t n, Brief* out) {
  for (; n > 0; n -= k_brief, x += k_brief, ++out) {
    float part[k_brief] = {};
    for (std::int64_t i = 0; i < lesser(n, k_brief); ++i) part[i] = x[i];
    store_as(out->half, brief_of(load_as<F16>(part), load_as<F16>(part + 16)));
  }
}

void sum_rows(const Brief* const* rows, std::int64_t count, std::int64_t ahead, float* out, std::int64_t n) {
  for (std::int64_t i = 0; i * k_brief < n; ++i, out += k_brief) {
    F16 low{}, high{};
    for (std::int64_t r = 0; r < count; ++r) {
      __builtin_prefetch(rows[r] + i + ahead, 0, 2);
      low += from_brief(rows[r][i].half);
      high += from_brief(rows[r][i].half + 16);
    }
    low *= k_brief_unit;
    high *= k_brief_unit;
    if (i * k_brief + k_brief <= n) {
      store_as(out, low);
      store_as(out + 16, high);
      continue;
    }
    float part[k_brief];
    store_as(part, low);
    store_as(part + 16, high);
    for (std::int64_t j = 0; j < n - i * k_brief; ++j) out[j] = part[j];
  }
}

constexpr BriefRows k_rows{round_rows, sum_rows};

} // namespace

const BriefRows* brief_rows() { return &k_rows; }

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE

#else

namespace seacliff::cpu::SCF_ISA_NAMESPACE {
const BriefRows* brief_rows() { return nullptr; }
} // namespace seacliff::cpu::SCF_ISA_NAMESPACE

#endif // SCF_PANEL_SET
