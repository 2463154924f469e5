// Operations of the CPU backend on the shapes of the Flash model, with a team of workers. To add a case: a line in
// `cases()`. GB/s counts weights, and for attention and indexer the cached rows; GFLOP/s are those of the op's cost.
//   ops_bench --benchmark_filter='attention_mixed/decode.*/amx/'
#include "backends/cpu/catalogue.hpp"
#include "core/topology/team.hpp"
#include "core/topology/topology.hpp"
#include "ops/cases/data.hpp"
#include "ops/cases/run_case.hpp"

#include <seacliff/sdk/scratch.hpp>

#include <benchmark/benchmark.h>

#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace seacliff {
namespace {

using ops::Attrs;
using ops::CaseBuilder;
using ops::n;
using ops::ValueType;

constexpr std::int64_t k_embd = 4096, k_heads = 64, k_dim = 512, k_window = 128, k_streams = 4;

/// A batch of one run at `pos`; all rows before it are there.
struct At {
  std::int64_t pos, tokens;
  ops::Runs runs() const { return {{0, pos, tokens}}; }
  std::string name() const { return fmt::format("{}@{}", tokens, pos); }
};
const auto anything = [](std::int64_t, std::int64_t) { return true; };

void rows_with_work(CaseBuilder& b, std::int64_t rows, std::int64_t width, DType format = DType::f16) {
  b.state(format, {n(1), n(rows), n(width)}, 1.0, anything);
}

/// `ratio` 0: a plain layer; 4: 512 selected rows.
ops::Case attention(std::int64_t ratio, At at) {
  CaseBuilder b("attention_mixed", fmt::format("r{} {}", ratio, at.name()), at.tokens,
                {{"window", k_window},
                 {"ratio", ratio},
                 {"scale", 1.0 / std::sqrt(static_cast<double>(k_dim))},
                 {"act8", std::int64_t{1}}});
  b.activations({b.T(), n(k_heads), n(k_dim)}).activations({b.T(), n(k_dim)}, 1.0, true);
  rows_with_work(b, k_window, k_dim);
  const std::int64_t cached = ratio == 0 ? 0 : (at.pos + at.tokens) / ratio;
  if (ratio == 0)
    b.absent().absent();
  else
    rows_with_work(b, cached, k_dim);
  if (ratio == 128) b.absent();
  if (ratio == 4) {
    constexpr std::int64_t k = 512;
    std::vector<std::int32_t> sel;
    for (std::int64_t t = 0; t < at.tokens; ++t)
      for (std::int64_t i = 0; i < k; ++i) sel.push_back(static_cast<std::int32_t>(i * (cached - 1) / (k - 1)));
    b.i32({b.T(), n(k)}, sel);
  }
  return b.weight(DType::f32, {n(k_heads)}, 1.0).batch(at.runs()).build();
}

const Attrs k_rope{{"rot", std::int64_t{64}}, {"base", 160000.0},  {"yarn", std::int64_t{1}}, {"factor", 16.0},
                   {"orig_ctx", 65536.0},     {"beta_fast", 32.0}, {"beta_slow", 1.0}};

ops::Case index_select(At at) {
  constexpr std::int64_t heads = 64, dim = 128, rank = 1024;
  Attrs attrs = k_rope;
  attrs.set("heads", heads);
  attrs.set("k", std::int64_t{512});
  attrs.set("ratio", std::int64_t{4});
  attrs.set("idx4", std::int64_t{1});
  CaseBuilder b("index_select", at.name(), at.tokens, attrs);
  b.activations({b.T(), n(rank)}).activations({b.T(), n(k_embd)});
  b.weight(DType::f16, {n(heads * dim), n(rank)}, 0.05).weight(DType::f16, {n(heads), n(k_embd)}, 0.02);
  rows_with_work(b, (at.pos + at.tokens) / 4, dim);
  return b.batch(at.runs()).build();
}

ops::Case top_k_rows(std::int64_t rows) {
  CaseBuilder b("top_k_rows", fmt::format("{}", rows), 1, {{"k", std::int64_t{512}}});
  return b.activations({b.T(), n(rows)}).build();
}

ops::Case compress(std::int64_t ratio, bool index, At at) {
  const std::int64_t head = index ? 128 : k_dim, width = ratio == 4 ? 2 * head : head;
  Attrs attrs = k_rope;
  attrs.set("ratio", ratio);
  attrs.set("index", std::int64_t{index});
  attrs.set("shift", 1 - ratio);
  attrs.set("rms_eps", 1e-6);
  attrs.set("f16", std::int64_t{1});
  attrs.set(index ? "idx4" : "kv8", std::int64_t{1});
  CaseBuilder b("compress", fmt::format("r{}{} {}", ratio, index ? " index" : "", at.name()), at.tokens, attrs);
  b.activations({b.T(), n(width)}).activations({b.T(), n(width)}).weight(DType::f16, {n(ratio), n(width)}, 0.5);
  b.weight(DType::f32, {n(head)}, 0.2, 1.0);
  b.state(DType::f32, {n(1), n(ratio == 4 ? 8 : ratio), n(2), n(width)}, 1.0, anything);
  rows_with_work(b, (at.pos + at.tokens) / ratio + 1, head);
  return b.batch(at.runs()).build();
}

ops::Case hc(const char* op, std::int64_t tokens) {
  constexpr std::int64_t rows = 2 * k_streams + k_streams * k_streams;
  const bool pre = std::string_view(op) == "hc_pre";
  CaseBuilder b(op, fmt::format("{}", tokens), tokens,
                pre ? Attrs{{"iters", std::int64_t{20}}, {"eps", 1e-6}, {"rms_eps", 1e-6}} : Attrs{});
  b.activations({b.T(), n(k_streams), n(k_embd)});
  if (pre)
    b.weight(DType::f32, {n(rows), n(k_streams * k_embd)}, 0.01)
        .weight(DType::f32, {n(rows)}, 1.0)
        .weight(DType::f32, {n(3)}, 0.3, 1.0);
  else
    b.activations({b.T(), n(k_embd)})
        .activations({b.T(), n(k_streams)})
        .activations({b.T(), n(k_streams), n(k_streams)}, 0.3);
  return b.build();
}

ops::Case moe(std::int64_t tokens) {
  constexpr std::int64_t experts = 48, slots = 6, hidden = 2048; // fewer experts than the model has: they need memory
  CaseBuilder b("moe_experts", fmt::format("{}", tokens), tokens, {{"clamp", 7.0}, {"act8", std::int64_t{1}}});
  b.activations({b.T(), n(k_embd)});
  std::vector<std::int32_t> ids;
  for (std::int64_t t = 0; t < tokens; ++t)
    for (std::int64_t s = 0; s < slots; ++s) ids.push_back(static_cast<std::int32_t>((t * 11 + s * 7) % experts));
  b.i32({b.T(), n(slots)}, ids).activations({b.T(), n(slots)}, 0.4);
  for (int i = 0; i < 2; ++i) b.weight(DType::iq2_xxs, {n(experts), n(hidden), n(k_embd)}, 0.02);
  return b.weight(DType::q2_k, {n(experts), n(k_embd), n(hidden)}, 0.02).build();
}

/// All heads' queries.
ops::Case queries(const char* op, std::int64_t tokens) {
  const bool turn = std::string_view(op) == "rope_tail";
  CaseBuilder b(op, fmt::format("{}", tokens), tokens, turn ? k_rope : Attrs{{"eps", 1e-6}, {"heads", k_heads}});
  if (!turn) return b.activations({b.T(), n(k_heads * k_dim)}).absent().build();
  std::vector<std::int32_t> pos;
  for (std::int64_t t = 0; t < tokens; ++t) pos.push_back(static_cast<std::int32_t>(t));
  return b.activations({b.T(), n(k_heads), n(k_dim)}).i32({b.T()}, pos).build();
}

ops::Case route(std::int64_t tokens) {
  constexpr std::int64_t experts = 256;
  CaseBuilder b("route", fmt::format("{}", tokens), tokens, {{"k", std::int64_t{6}}, {"scale", 1.5}});
  b.activations({b.T(), n(k_embd)}).weight(DType::f16, {n(experts), n(k_embd)}, 0.02);
  return b.weight(DType::f32, {n(experts)}, 0.1).absent().absent().build();
}

/// Matrices of the compressors.
ops::Case project(std::int64_t rows, std::int64_t tokens) {
  CaseBuilder b("matmul", fmt::format("{} {}", rows, tokens), tokens);
  return b.activations({b.T(), n(k_embd)}).weight(DType::f16, {n(rows), n(k_embd)}, 0.02).build();
}

struct Line {
  const char* name;
  std::function<ops::Case()> make;
};
const std::vector<Line>& cases() {
  static const std::vector<Line> all = {
      {"attention_mixed/decode_plain",
       [] {
         return attention(0, {32768, 1});
       }},
      {"attention_mixed/decode_r4_32k",
       [] {
         return attention(4, {32768, 1});
       }},
      {"attention_mixed/decode_r128_32k",
       [] {
         return attention(128, {32768, 1});
       }},
      {"attention_mixed/decode_r128_128k",
       [] {
         return attention(128, {131072, 1});
       }},
      {"attention_mixed/prefill_plain",
       [] {
         return attention(0, {1024, 64});
       }},
      {"attention_mixed/prefill_r4",
       [] {
         return attention(4, {2048, 64});
       }},
      {"attention_mixed/prefill_r128_32k",
       [] {
         return attention(128, {32768, 64});
       }},
      {"index_select/decode_4k",
       [] {
         return index_select({4096, 1});
       }},
      {"index_select/decode_32k",
       [] {
         return index_select({32768, 1});
       }},
      {"index_select/decode_128k",
       [] {
         return index_select({131072, 1});
       }},
      {"index_select/prefill_32k",
       [] {
         return index_select({32768, 64});
       }},
      {"top_k_rows/32k", [] { return top_k_rows(8192); }},
      {"top_k_rows/128k", [] { return top_k_rows(32768); }},
      {"compress/decode_r4",
       [] {
         return compress(4, false, {32767, 1});
       }},
      {"compress/decode_r128",
       [] {
         return compress(128, false, {32767, 1});
       }},
      {"compress/prefill_r4",
       [] {
         return compress(4, false, {2048, 512});
       }},
      {"compress/prefill_r4_index",
       [] {
         return compress(4, true, {2048, 512});
       }},
      {"compress/prefill_r128",
       [] {
         return compress(128, false, {2048, 512});
       }},
      {"hc_pre/decode", [] { return hc("hc_pre", 1); }},
      {"hc_pre/prefill", [] { return hc("hc_pre", 512); }},
      {"hc_post/decode", [] { return hc("hc_post", 1); }},
      {"hc_post/prefill", [] { return hc("hc_post", 512); }},
      {"rms_norm/prefill_queries", [] { return queries("rms_norm", 512); }},
      {"rope_tail/prefill_queries", [] { return queries("rope_tail", 512); }},
      {"route/prefill", [] { return route(512); }},
      {"matmul/prefill_compress", [] { return project(1024, 512); }},
      {"matmul/prefill_compress_index", [] { return project(256, 512); }},
      {"moe_experts/decode", [] { return moe(1); }},
      {"moe_experts/prefill", [] { return moe(256); }},
  };
  return all;
}

/// A kernel with its operands in memory.
class Subject {
public:
  Subject(const cpu::Isa& isa, const ops::Case& test, std::uint32_t workers) : test_(test), outputs_(test) {
    const ops::OneNodeGraph graph(test_);
    for (const sdk::KernelEntry& entry : cpu::catalogue(isa))
      if (entry.op == test.op) {
        if (const sdk::Claim claim = entry.claim(graph.node()); claim.level == SCF_CLAIM_NO)
          throw Error(Code::unimplemented, claim.reason);
        kernel_ = entry.make(graph.node());
      }
    const ops::Schema& schema = *ops::find_schema(test.op);
    for (ops::CaseValue& value : test_.inputs) in_.push_back(tensor_of(value));
    for (std::size_t o = 0; o < outputs_.values.size(); ++o) {
      const int alias = schema.alias_of(o);
      out_.push_back(alias >= 0 ? in_[static_cast<std::size_t>(alias)] : tensor_of(outputs_.values[o]));
    }
    tickets_ = std::vector<sdk::Ticket>(kernel_->tickets());
    if (kernel_->in_place()) out_[0].data = in_[0].data; // as in a program
    const std::uint64_t scratch = sdk::align_up(kernel_->scratch_bytes(workers), 64), form = kernel_->form().bytes;
    memory_.resize(scratch + form + 64);
    void* at = memory_.data();
    std::size_t room = memory_.size();
    scratch_ = {static_cast<std::byte*>(std::align(64, scratch + form, at, room)), scratch};
  }

  void run(Team& team) {
    for (sdk::Ticket& ticket : tickets_) ticket = 0;
    sdk::KernelCall call{in_, out_, scratch_, tickets_.data()};
    call.form = scratch_.data() + scratch_.size();
    struct Task {
      const sdk::Kernel& kernel;
      const sdk::KernelCall& call;
    } task{*kernel_, call};
    team.run(
        [](void* arg, scf_worker* worker) {
          const Task& t = *static_cast<Task*>(arg);
          t.kernel.run(t.call, sdk::Worker(worker, Team::barrier));
        },
        &task);
  }

private:
  struct Results {
    explicit Results(const ops::Case& test) {
      for (const ValueType& type : ops::output_types(test))
        values.push_back({type, SCF_ROLE_OUTPUT, std::vector<std::byte>(type.max_bytes())});
    }
    std::vector<ops::CaseValue> values;
  };
  static sdk::Tensor tensor_of(ops::CaseValue& value) {
    sdk::Tensor tensor;
    if (!value.present()) return tensor;
    tensor.data = value.data.data();
    tensor.dtype = value.type.dtype;
    tensor.rank = static_cast<std::uint32_t>(value.type.dims.size());
    for (std::size_t i = 0; i < value.type.dims.size(); ++i) tensor.dims[i] = value.type.dims[i].max;
    return tensor;
  }

  ops::Case test_;
  Results outputs_;
  std::unique_ptr<sdk::Kernel> kernel_;
  std::vector<sdk::Tensor> in_, out_;
  std::vector<sdk::Ticket> tickets_;
  std::vector<std::byte> memory_;
  std::span<std::byte> scratch_;
};

ops::Cost cost_of(const ops::Case& test) {
  const std::vector<ValueType> results = ops::output_types(test);
  std::vector<const ValueType*> out;
  for (const ValueType& type : results) out.push_back(&type);
  ops::Cost cost = ops::find_schema(test.op)->cost(ops::input_types(test), out, test.attrs);
  if (test.op == "attention_mixed" || test.op == "index_select")
    for (const ops::CaseValue& value : test.inputs)
      if (value.role == SCF_ROLE_STATE) cost.bytes_weights += static_cast<double>(value.data.size());
  return cost;
}

const Topology& topology() {
  static const Topology instance;
  return instance;
}

void run_case(benchmark::State& state, const cpu::Isa& isa, const Line& line) {
  const ops::Case test = line.make();
  Team team(topology(), static_cast<std::uint32_t>(state.range(0)));
  Subject subject(isa, test, team.size());
  subject.run(team);
  for (auto _ : state) subject.run(team);
  const ops::Cost cost = cost_of(test);
  const auto rate = [&](double per_run) {
    return benchmark::Counter(per_run * 1e-9 * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
  };
  state.counters["GB/s"] = rate(cost.bytes_weights);
  state.counters["GFLOP/s"] = rate(cost.flops);
}

void register_all() {
  for (const Line& line : cases())
    for (const cpu::Isa* isa : cpu::compiled_isas()) {
      if (!cpu::enable(isa->name)) continue;
      auto* bench = benchmark::RegisterBenchmark(fmt::format("{}/{}", line.name, isa->name).c_str(),
                                                 [isa, &line](benchmark::State& s) { run_case(s, *isa, line); });
      const std::uint32_t all = topology().physical_cores();
      bench->Arg(1)->UseRealTime()->Unit(benchmark::kMicrosecond);
      if (all > 1) bench->Arg(all);
    }
}

} // namespace
} // namespace seacliff

int main(int argc, char** argv) {
  seacliff::register_all();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
