// The kernels alone, against the formula. To add a format: one more line in main().
#include "matmul.hpp"

#include <cmath>
#include <cstdio>
#include <vector>

namespace {

using namespace kernels;

constexpr std::int64_t k_tokens = 3, k_rows = 21, k_cols = 64;

float weight(std::int64_t n, std::int64_t k) { return static_cast<float>((n * 7 + k * 5) % 31 - 15); }
float input(std::int64_t t, std::int64_t k) { return static_cast<float>((t * 3 + k) % 11 - 5) / 4; }

std::vector<std::byte> bytes_of(const void* data, std::size_t count) {
  const auto* first = static_cast<const std::byte*>(data);
  return {first, first + count};
}

std::vector<std::byte> f32_weights() {
  std::vector<float> w;
  for (std::int64_t i = 0; i < k_rows * k_cols; ++i) w.push_back(weight(i / k_cols, i % k_cols));
  return bytes_of(w.data(), w.size() * sizeof(float));
}

std::vector<std::byte> q8_weights() { // scale 1/2 and doubled codes: exactly the weights of above
  std::vector<seacliff::blocks::Q8_0> w(k_rows * k_cols / 32);
  for (std::size_t b = 0; b < w.size(); ++b) {
    w[b].d = seacliff::numeric::f32_to_f16(0.5f);
    for (std::int64_t i = 0; i < 32; ++i) {
      const std::int64_t at = static_cast<std::int64_t>(b) * 32 + i;
      w[b].q[i] = static_cast<std::int8_t>(2 * weight(at / k_cols, at % k_cols));
    }
  }
  return bytes_of(w.data(), w.size() * sizeof(seacliff::blocks::Q8_0));
}

template <typename Row> bool check(std::vector<std::byte> weights) {
  std::vector<float> x(k_tokens * k_cols), y(k_tokens * k_rows, NAN);
  for (std::int64_t i = 0; i < k_tokens * k_cols; ++i) x[i] = input(i / k_cols, i % k_cols);
  const Tensor in[] = {{x.data(), DType::f32, 2, {k_tokens, k_cols}},
                       {weights.data(), Row::k_dtype, 2, {k_rows, k_cols}}};
  const Tensor out[] = {{y.data(), DType::f32, 2, {k_tokens, k_rows}}};
  for (std::uint32_t i = 0; i < 2; ++i) { // a team of two, one after the other
    scf_worker member{i, 2, nullptr};
    Matmul<Row>().run({in, out, {}}, Worker(&member, nullptr));
  }
  for (std::int64_t t = 0; t < k_tokens; ++t)
    for (std::int64_t n = 0; n < k_rows; ++n) {
      double sum = 0;
      for (std::int64_t k = 0; k < k_cols; ++k) sum += static_cast<double>(weight(n, k)) * input(t, k);
      if (std::abs(y[t * k_rows + n] - sum) < 1e-3) continue;
      std::printf("format %u, y[%ld][%ld]: %g, expected %g\n", static_cast<unsigned>(Row::k_dtype),
                  static_cast<long>(t), static_cast<long>(n), static_cast<double>(y[t * k_rows + n]), sum);
      return false;
    }
  return true;
}

} // namespace

int main() {
  bool good = check<F32Row>(f32_weights());
  good = check<Q8Row>(q8_weights()) && good;
  return good ? 0 : 1;
}
