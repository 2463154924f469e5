// L7: much at once and much in a row; and how fast it is, which is told and never judged.
#include "plugins/conformance/context.hpp"
#include "plugins/conformance/levels.hpp"
#include "plugins/conformance/process_state.hpp"
#include "plugins/conformance/workbench.hpp"
#include "plugins/loader/tables.hpp"

#include "ops/cases/data.hpp"
#include "ops/cases/tolerance.hpp"
#include "ops/reference/kernels.hpp"
#include "ops/schema/cost.hpp"

#include <atomic>
#include <chrono>
#include <cmath>
#include <optional>
#include <thread>

namespace seacliff::conform {
namespace {

using plugins::Device;
using plugins::Semaphore;

const ops::Case& need_case(Trial& trial, Context& context, const std::string& id) {
  const ops::Case* test = claimed_case(*context.device(id), *context.host());
  if (test == nullptr) trial.skip("the device claims no case of any op");
  return *test;
}

void many_submits(Trial& trial, Context& context, const std::string& id) {
  constexpr std::uint64_t k_submits = 3000;
  const ops::Case& test = need_case(trial, context, id);
  Transfer transfer(context.device(id), context.settings.wait_s);
  Workpiece piece(transfer, *context.host(), test);
  piece.reset();
  piece.run();
  const std::uint64_t before = allocated_bytes();
  Semaphore line = context.device(id)->create_semaphore();
  for (std::uint64_t i = 0; i < k_submits; ++i) {
    const scf_wait signal = line.at(i + 1);
    piece.submit({}, {&signal, 1});
  }
  line.wait(k_submits, to_ns(context.settings.limit_s));
  const std::uint64_t after = allocated_bytes();
  trial.expect(after < before + k_submits * 16, "leak",
               fmt::format("{} submits leave {} bytes behind", k_submits, after - std::min(after, before)));
  const ops::Outputs expected = ops::run_kernel(*reference::find_kernel(test.op), test);
  if (const auto wrong = ops::find_mismatch(test, expected, piece.outputs(), reference::reference_kernels()))
    trial.fail("result", *wrong);
}

/// Threads with a queue, a program and memory of their own each.
void many_threads(Trial& trial, Context& context, const std::string& id) {
  constexpr int k_threads = 4, k_rounds = 40;
  const ops::Case& test = need_case(trial, context, id);
  const ops::Outputs expected = ops::run_kernel(*reference::find_kernel(test.op), test);
  const auto device = context.device(id);
  std::vector<std::unique_ptr<Transfer>> transfers;
  std::vector<std::unique_ptr<Workpiece>> pieces; // made one after another: compile is not [MT]
  for (int t = 0; t < k_threads; ++t) {
    transfers.push_back(std::make_unique<Transfer>(device, context.settings.wait_s));
    pieces.push_back(std::make_unique<Workpiece>(*transfers.back(), *context.host(), test));
    pieces.back()->reset();
  }
  std::vector<std::string> faults(k_threads);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < k_threads; ++t)
    threads.emplace_back([&, t] {
      try {
        for (int i = 0; i < k_rounds; ++i) pieces[t]->run();
      } catch (const std::exception& error) {
        faults[t] = error.what();
      }
    });
  for (std::thread& thread : threads) thread.join();
  for (std::size_t t = 0; t < k_threads; ++t) {
    if (!faults[t].empty()) trial.fail("error", faults[t]);
    if (const auto wrong = ops::find_mismatch(test, expected, pieces[t]->outputs(), reference::reference_kernels()))
      trial.fail("result", *wrong);
  }
}

/// propose is [MT] and pure.
void many_proposals(Trial& trial, Context& context, const std::string& id) {
  constexpr int k_threads = 4, k_rounds = 100;
  const ops::Case& test = need_case(trial, context, id);
  const auto device = context.device(id);
  const ops::OneNodeGraph graph(test, 0, context.host()->op_id(test.op));
  const auto first = device->propose(graph.view());
  std::atomic<int> other{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < k_threads; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < k_rounds; ++i) {
        const auto again = device->propose(graph.view());
        if (again.size() != first.size() || again[0].level != first[0].level || again[0].reason != first[0].reason)
          ++other;
      }
    });
  for (std::thread& thread : threads) thread.join();
  trial.expect(other == 0, "claim", fmt::format("{} proposals from four threads differ", other.load()));
}

void many_programs(Trial& trial, Context& context, const std::string& id) {
  constexpr int k_rounds = 60, k_chances = 3;
  constexpr std::uint64_t k_allowed = 256; // bytes per round
  const ops::Case& test = need_case(trial, context, id);
  Transfer transfer(context.device(id), context.settings.wait_s);
  const auto round = [&] {
    Workpiece piece(transfer, *context.host(), test);
    piece.reset();
    piece.run();
  };
  for (int i = 0; i < 5; ++i) round();
  std::uint64_t left = 0;
  for (int chance = 0; chance < k_chances;
       ++chance) { // caches of drivers grow for a while, what a leak leaves for ever
    const std::uint64_t before = allocated_bytes();
    for (int i = 0; i < k_rounds; ++i) round();
    const std::uint64_t after = allocated_bytes();
    if (after <= before + k_rounds * k_allowed) return;
    left = after - before;
  }
  trial.fail("leak",
             fmt::format("{} programs, made, run and freed, leave {} bytes behind, every time", k_rounds, left));
}

/// Work that was queued behind a wait is given up by failing what it waits for.
void cancelling(Trial& trial, Context& context, const std::string& id) {
  const ops::Case& test = need_case(trial, context, id);
  const auto device = context.device(id);
  Transfer transfer(device, context.settings.wait_s);
  Workpiece piece(transfer, *context.host(), test);
  piece.reset();
  Semaphore gate = device->create_semaphore(), line = device->create_semaphore();
  std::thread canceller([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    gate.fail({Code::cancelled, "the user went away", {}, {}});
  });
  constexpr std::uint64_t k_queued = 5;
  std::optional<Status> submit_failure;
  try {
    for (std::uint64_t i = 0; i < k_queued; ++i) {
      const scf_wait wait = i == 0 ? gate.at(1) : line.at(i), signal = line.at(i + 1);
      piece.submit({&wait, 1}, {&signal, 1});
    }
  } catch (const Error& error) {
    submit_failure = error.status();
  }
  canceller.join();
  if (submit_failure) trial.fail("failure", "submitting behind a failed wait is an error: " + submit_failure->message);
  try {
    line.wait(k_queued, to_ns(context.settings.wait_s));
    trial.fail("failure", "work behind a failed wait ran");
  } catch (const Error& error) {
    trial.expect(error.code() == Code::cancelled, "failure",
                 fmt::format("cancelled work ends with {}, not cancelled", code_name(error.code())));
  }
}

/// Profiling must change no result (P1).
void profiled(Trial& trial, Context& context, const std::string& id) {
  const ops::Case& test = need_case(trial, context, id);
  const auto device = context.device(id);
  if (!device->has_profile()) trial.skip("the device does not profile: the host times submits");
  Transfer transfer(device, context.settings.wait_s);
  Workpiece piece(transfer, *context.host(), test);
  const auto run = [&] {
    piece.reset();
    piece.run();
    return piece.outputs();
  };
  const ops::Outputs plain = run();
  for (const std::uint32_t granularity : {SCF_PROFILE_PROGRAM, SCF_PROFILE_GROUP, SCF_PROFILE_NODE}) {
    device->profile_begin(granularity);
    const ops::Outputs watched = run();
    int records = 0;
    device->profile_drain([&](scf_exec*, const scf_profile_record& record) {
      ++records;
      trial.expect(record.t1 >= record.t0 && record.n_nodes >= 1 && record.first_node == 0, "record",
                   "a profile record is of other nodes or ends before it begins");
    });
    device->profile_end();
    trial.expect(records > 0, "record", fmt::format("no profile record at granularity {}", granularity));
    for (std::size_t o = 0; o < plain.size(); ++o)
      trial.expect(plain[o].same_data(watched[o]), "result", "profiling changes the result");
  }
}

// ---- speed ---------------------------------------------------------------------------------------------------------

struct Probe {
  std::string op, name;
  ops::Case (*make)(DType format, std::int64_t tokens);
  DType format;
  std::int64_t tokens;
};

ops::Case product(DType format, std::int64_t tokens) {
  constexpr std::int64_t rows = 2048, columns = 4096;
  ops::CaseBuilder b("matmul", fmt::format("{} {}x{} T={}", ops::format_name(format), rows, columns, tokens), tokens,
                     {{"act8", std::int64_t{1}}});
  return b.activations({b.T(), ops::n(columns)}).weight(format, {ops::n(rows), ops::n(columns)}, 0.02).build();
}

ops::Case normed(DType, std::int64_t tokens) {
  ops::CaseBuilder b("rms_norm", fmt::format("4096 T={}", tokens), tokens, {{"eps", 1e-6}});
  return b.activations({b.T(), ops::n(4096)}).weight(DType::f32, {ops::n(4096)}, 0.2, 1.0).build();
}

ops::Cost cost_of(const ops::Case& test) {
  const auto in = ops::input_types(test);
  const std::vector<ops::ValueType> types = ops::output_types(test);
  std::vector<const ops::ValueType*> out;
  for (const ops::ValueType& type : types) out.push_back(&type);
  return ops::find_schema(test.op)->cost(in, out, test.attrs);
}

void measure(Trial& trial, Context& context, const std::string& id, const Probe& probe) {
  using Clock = std::chrono::steady_clock;
  const auto device = context.device(id);
  const ops::Case test = probe.make(probe.format, probe.tokens);
  const ops::OneNodeGraph graph(test, 0, context.host()->op_id(test.op));
  const Answer answer = ask(trial, *device, graph.view());
  if (answer.level == SCF_CLAIM_NO) trial.skip("declined: " + answer.reason);
  Transfer transfer(device, context.settings.wait_s);
  Workpiece piece(transfer, *context.host(), test);
  piece.reset();
  piece.run();
  double best = 1e9;
  const auto begin = Clock::now();
  for (int i = 0; i < 20 && Clock::now() - begin < std::chrono::milliseconds(300); ++i) {
    const auto start = Clock::now();
    piece.run();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
  }
  const ops::Cost cost = cost_of(test);
  const double gbps = (cost.bytes_weights + cost.bytes_activations) / best / 1e9, gflops = cost.flops / best / 1e9;
  trial.metric("GB/s", gbps);
  trial.metric("GFLOP/s", gflops);
  trial.metric("us", best * 1e6);
  trial.note(fmt::format("{}: {:.0f} us, {:.2f} GB/s, {:.1f} GFLOP/s", test.name, best * 1e6, gbps, gflops));
}

} // namespace

std::vector<Test> stress_tests(const Target& target) {
  std::vector<Test> tests;
  const auto add = [&](const std::string& name, std::string title, auto body) {
    Test test{fmt::format("L7:stress:{}{}", name, target.suffix), std::move(title),
              [id = target.id, body](Trial& trial, Context& context) { body(trial, context, id); }};
    test.patience = 2;
    tests.push_back(std::move(test));
  };
  add("submits", "thousands of submits", many_submits);
  add("threads", "four threads with a queue each", many_threads);
  add("proposals", "four threads that propose", many_proposals);
  add("programs", "programs made, run and freed", many_programs);
  add("cancel", "queued work is given up", cancelling);
  add("profile", "profiling changes nothing", profiled);
  return tests;
}

std::vector<Test> speed_tests(const Target& target, const Settings& settings) {
  std::vector<Probe> probes;
  for (const DType format : {DType::f16, DType::q8_0, DType::q4_k, DType::q2_k, DType::mxfp4})
    for (const std::int64_t tokens : {1, 32})
      probes.push_back({"matmul", std::string(ops::format_name(format)), product, format, tokens});
  probes.push_back({"rms_norm", "f32", normed, DType::f32, 32});
  std::vector<Test> tests;
  for (const Probe& probe : probes) {
    const bool chosen =
        settings.ops.empty() || std::find(settings.ops.begin(), settings.ops.end(), probe.op) != settings.ops.end();
    if (chosen)
      tests.push_back(
          {fmt::format("L7:speed:{}-{}-{}{}", probe.op, probe.name, probe.tokens, target.suffix), "told, not judged",
           [id = target.id, probe](Trial& trial, Context& context) { measure(trial, context, id, probe); }});
  }
  return tests;
}

} // namespace seacliff::conform
