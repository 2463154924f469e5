// Products with weights of the CPU backend, one worker: every instruction set and format on shapes of the Flash model.
// GB/s counts weight bytes. One token shows how near decoding is to memory, 64 tokens and, with int8
// activations, 512 tokens how fast prefill multiplies.
//   matmul_bench --benchmark_filter=avx512vnni.*q8_0
#include "backends/cpu/isa_list.hpp"

#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

namespace seacliff::cpu {
namespace {

struct alignas(64) Line {
  std::byte bytes[64];
};
struct Shape {
  const char* name;
  std::int64_t n, k;
};
constexpr Shape k_shapes[] = {{"q_b", 32768, 1024}, {"expert_gate", 2048, 4096}, {"out_b", 4096, 8192}};

/// Weights with small scales everywhere: any bytes are valid codes, but a scale must not be NaN.
std::vector<std::byte> any_weights(DType dtype, const Shape& shape) {
  return std::vector<std::byte>(
      row_bytes(dtype, static_cast<std::uint64_t>(shape.k)) * static_cast<std::uint64_t>(shape.n), std::byte{0x11});
}

void multiply(benchmark::State& state, const Isa& isa, const Format& format, const Shape& shape, bool act8) {
  const std::int64_t tokens = state.range(0);
  const std::vector<std::byte> w = any_weights(format.dtype, shape);
  std::vector<float> x(static_cast<std::size_t>(tokens * shape.k), 0.5f), y(static_cast<std::size_t>(tokens * shape.n));
  const bool many = act8 && tokens > k_few_tokens;
  const Act form = many ? format.act_many : format.act;
  const std::uint64_t act_bytes = act_layout(form, shape.k).bytes;
  std::vector<std::byte> act(act_bytes * static_cast<std::uint64_t>(tokens));
  GemmArgs args{};
  args.w = w.data();
  args.w_stride = row_bytes(format.dtype, static_cast<std::uint64_t>(shape.k));
  args.rows = shape.n;
  args.k = shape.k;
  args.x = act8 ? act.data() : reinterpret_cast<const std::byte*>(x.data());
  args.x_stride = act8 ? act_bytes : static_cast<std::uint64_t>(shape.k) * sizeof(float);
  args.tokens = tokens;
  args.y = y.data();
  args.y_stride = shape.n;
  const std::unique_ptr<Line[]> scratch(new Line[isa.many_scratch(tokens) / sizeof(Line)]);
  args.scratch = reinterpret_cast<std::byte*>(scratch.get());
  for (auto _ : state) {
    if (act8)
      for (std::int64_t t = 0; t < tokens; ++t)
        isa.quantise(form, x.data() + t * shape.k, 0, shape.k, shape.k,
                     act.data() + act_bytes * static_cast<std::uint64_t>(t), true);
    (many ? format.gemm_many : act8 ? format.gemm_act : format.gemm)(args);
    benchmark::DoNotOptimize(y.data());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(w.size()));
  state.counters["GFLOP/s"] = benchmark::Counter(
      2e-9 * static_cast<double>(state.iterations() * shape.n * shape.k * tokens), benchmark::Counter::kIsRate);
}

void register_all() {
  for (const Isa* isa : compiled_isas()) {
    if (!enable(isa->name)) continue;
    for (std::int64_t f = 0; f < isa->n_formats; ++f)
      for (const Shape& shape : k_shapes)
        for (const bool act8 : {false, true}) {
          const Format& format = isa->formats[f];
          if (act8 && format.act == Act::none) continue;
          const std::string name = std::string(isa->name) + "/" + std::string(dtype_info(format.dtype).name) + "/" +
                                   shape.name + (act8 ? "/act8" : "/exact");
          auto* cases =
              benchmark::RegisterBenchmark(name.c_str(), [isa, &format, &shape, act8](benchmark::State& state) {
                multiply(state, *isa, format, shape, act8);
              });
          cases->Arg(1)->Arg(64);
          if (act8) cases->Arg(2)->Arg(4)->Arg(8)->Arg(16)->Arg(512);
        }
  }
}

} // namespace
} // namespace seacliff::cpu

int main(int argc, char** argv) {
  seacliff::cpu::register_all();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
