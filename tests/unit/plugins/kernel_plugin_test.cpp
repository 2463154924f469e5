// The SDK's adapter, from claim to result, through the same tables as any plugin.
// To add a test: build a segment with builder_, compile() it, bind with bench_, step() it.
#include "tests/unit/plugins/toy_fixture.hpp"

#include <map>
#include <thread>

namespace seacliff::plugins {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

INSTANTIATE_TEST_SUITE_P(Workers, ToyTest, ::testing::Values(1u, 4u));

/// What the call throws, as text; empty when it throws nothing.
template <typename Body> std::string error_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

TEST_P(ToyTest, DescribesItself) {
  EXPECT_EQ(plugin_->name(), "toy");
  EXPECT_EQ(plugin_->version(), "1.2.3");
  ASSERT_EQ(plugin_->devices().size(), 2u);
  EXPECT_TRUE(plugin_->devices()[0].usable());
  EXPECT_GT(plugin_->devices()[0].memory_total(), 0u);
  EXPECT_FALSE(plugin_->devices()[1].usable());
  EXPECT_THAT(error_of([&] { plugin_->open_device("toy:1"); }), HasSubstr("it is broken"));
  EXPECT_THAT(error_of([&] { plugin_->open_device("toy:7"); }), HasSubstr("no device 'toy:7'"));
}

TEST_P(ToyTest, OptionsAreTakenOrRefused) {
  EXPECT_EQ(open_toy(host_, {{"label", std::string("cubes")}})->devices()[0].name, "cubes");
  EXPECT_THAT(error_of([&] {
                open_toy(host_, {{"speed", std::int64_t{3}}});
              }),
              HasSubstr("unknown option 'speed'; known: label"));
  EXPECT_THAT(error_of([&] {
                open_toy(host_, {{"label", std::int64_t{3}}});
              }),
              HasSubstr("option 'label' must be a string"));
  EXPECT_THAT(error_of([&] { plugin_->open_device("toy:0", {{"x", std::int64_t{1}}}); }), HasSubstr("option 'x'"));
}

TEST_P(ToyTest, ClaimsNodeByNodeWithReasons) {
  const auto a = builder_.value(SCF_ROLE_INPUT, {4});
  const auto half = builder_.value(SCF_ROLE_INPUT, {4}, SCF_DTYPE_F16);
  const auto strange = builder_.value(SCF_ROLE_INPUT, {4}, 77);
  const auto packed = builder_.value(SCF_ROLE_WEIGHT, {4}, SCF_DTYPE_F32, 3);
  const auto out = builder_.value(SCF_ROLE_OUTPUT, {4});
  for (const auto& in : {a, half, strange, packed}) builder_.node("add", {a, in}, {out});
  builder_.node("conv9d", {a}, {out});
  builder_.node("never_heard_of", {a}, {out});
  const std::vector<ClaimInfo> claims = device_->propose(builder_.view());
  ASSERT_EQ(claims.size(), 6u);
  EXPECT_EQ(claims[0].level, SCF_CLAIM_OK);
  EXPECT_THAT(claims[0].nodes, ElementsAre(0u));
  for (std::size_t i = 1; i < 6; ++i) EXPECT_EQ(claims[i].level, SCF_CLAIM_NO);
  EXPECT_EQ(claims[1].reason, "needs f32");
  EXPECT_THAT(claims[2].reason, HasSubstr("format 77 of 'v2' is unknown"));
  EXPECT_THAT(claims[3].reason, HasSubstr("not in the file's layout"));
  EXPECT_EQ(claims[4].reason, "no kernel for scf.conv9d");
  EXPECT_EQ(claims[5].reason, "no kernel for op 0");
}

TEST_P(ToyTest, SymbolsAreBoundEachStep) {
  constexpr std::uint32_t tokens = 1;
  const auto in = builder_.value(SCF_ROLE_INPUT, {{8, tokens}, 16});
  const auto mid = builder_.value(SCF_ROLE_TEMP, {{8, tokens}, 16});
  const auto state = builder_.value(SCF_ROLE_STATE, {16});
  builder_.node("scale", {in}, {mid}, {{"factor", 1}});
  builder_.node("accumulate", {mid, state}, {state});
  const auto program = compile();
  bench_.give(in, 8 * 16, 1);
  const float* sum = bench_.give(state, 16);
  const Exec exec = bench_.instantiate(program, {state});
  float expected = 0;
  for (const std::int64_t rows : {8, 1, 3, 3, 0, 8}) {
    bench_.step(exec, {{tokens, 0, rows}}, {in});
    expected += static_cast<float>(rows);
    EXPECT_THAT(std::vector<float>(sum, sum + 16), Each(expected)) << "after a step of " << rows;
  }
  EXPECT_THAT(error_of([&] { bench_.step(exec, {{tokens, 0, 9}}, {in}); }), HasSubstr("outside its range"));
}

TEST_P(ToyTest, StepWithoutASymbolIsRefused) {
  const auto in = builder_.value(SCF_ROLE_INPUT, {{8, 1}, 4}), out = builder_.value(SCF_ROLE_OUTPUT, {{8, 1}, 4});
  builder_.node("scale", {in}, {out});
  bench_.give(in, 32);
  bench_.give(out, 32);
  const Exec exec = bench_.instantiate(compile(), {});
  EXPECT_THAT(error_of([&] { bench_.step(exec, {{2, 0, 1}}, {in, out}); }), HasSubstr("symbol 1 has no value"));
}

TEST_P(ToyTest, SlicesFollowTheSymbols) {
  const auto in = builder_.value(SCF_ROLE_INPUT, {{8, 1}, 4}), out = builder_.value(SCF_ROLE_OUTPUT, {{8, 1}, 4});
  builder_.node("scale", {in}, {out}, {{"factor", 2}});
  bench_.give(in, 3 * 4, 4);
  const float* result = bench_.give(out, 3 * 4);
  const Exec exec = bench_.instantiate(compile(), {});
  bench_.step(exec, {{1, 0, 3}}, {in, out}); // three rows need no more than three rows of memory
  EXPECT_THAT(std::vector<float>(result, result + 12), Each(8.0f));
  EXPECT_THAT(error_of([&] { bench_.step(exec, {{1, 0, 4}}, {in, out}); }), HasSubstr("bound to 'v0' is too small"));
}

TEST_P(ToyTest, NewBuffersMayBeBoundEachStep) {
  const auto in = builder_.value(SCF_ROLE_INPUT, {4}), out = builder_.value(SCF_ROLE_OUTPUT, {4});
  builder_.node("scale", {in}, {out}, {{"factor", 10}});
  const Exec exec = bench_.instantiate(compile(), {});
  for (const float x : {1.0f, 2.0f, 3.0f}) {
    bench_.give(in, 4, x); // the buffer of the last step is gone
    const float* result = bench_.give(out, 4);
    bench_.step(exec, {}, {in, out});
    EXPECT_THAT(std::vector<float>(result, result + 4), Each(10 * x));
  }
}

TEST_P(ToyTest, WhatIsNotBoundIsNamed) {
  const auto in = builder_.value(SCF_ROLE_INPUT, {4}), out = builder_.value(SCF_ROLE_OUTPUT, {4});
  const auto weight = builder_.value(SCF_ROLE_WEIGHT, {4});
  builder_.node("add", {in, weight}, {out});
  const auto program = compile();
  bench_.give(in, 4);
  bench_.give(out, 4);
  EXPECT_THAT(error_of([&] { bench_.instantiate(program, {}); }), HasSubstr("nothing is bound to 'v2'"));
  bench_.give(weight, 3);
  EXPECT_THAT(error_of([&] { bench_.instantiate(program, {weight}); }), HasSubstr("bound to 'v2' is too small"));
  bench_.give(weight, 4);
  const Exec exec = bench_.instantiate(program, {weight});
  bench_.step(exec, {}, {in, out});
  EXPECT_THAT(error_of([&] { bench_.step(exec, {}, {in}); }), HasSubstr("nothing is bound to 'v1'"));
}

TEST_P(ToyTest, ScratchMustBeLargeEnough) {
  const auto in = builder_.value(SCF_ROLE_INPUT, {4}), mid = builder_.value(SCF_ROLE_TEMP, {4});
  const auto out = builder_.value(SCF_ROLE_OUTPUT, {4});
  builder_.node("scale", {in}, {mid});
  builder_.node("scale", {mid}, {out});
  EXPECT_THAT(error_of([&] { compile()->instantiate({}, {}); }), HasSubstr("scratch"));
}

TEST_P(ToyTest, MalformedSegmentsAreRefused) {
  const auto temp = builder_.value(SCF_ROLE_TEMP, {4}), out = builder_.value(SCF_ROLE_OUTPUT, {4});
  builder_.node("scale", {temp}, {out});
  EXPECT_THAT(error_of([&] { compile(); }), HasSubstr("temporary 'v0' is read before it is written"));
  SegmentBuilder other([this](const std::string& op) { return host_->op_id(op); });
  const auto x = other.value(SCF_ROLE_INPUT, {4});
  other.node("scale", {x}, {99});
  EXPECT_THAT(error_of([&] { device_->compile(other.view()); }), HasSubstr("an operand that is no value"));
  EXPECT_THAT(error_of([&] { device_->propose(other.view()); }), HasSubstr("an operand that is no value"));
  SegmentBuilder huge([this](const std::string& op) { return host_->op_id(op); });
  const auto y = huge.value(SCF_ROLE_INPUT, {std::int64_t{1} << 40, std::int64_t{1} << 40});
  huge.node("scale", {y}, {y});
  EXPECT_THAT(error_of([&] { device_->compile(huge.view()); }), HasSubstr("out of range"));
}

TEST_P(ToyTest, ClaimsThatAreTakenBackNameTheNode) {
  const auto in = builder_.value(SCF_ROLE_INPUT, {4}), out = builder_.value(SCF_ROLE_OUTPUT, {4});
  builder_.node("scale", {in}, {out});
  const auto shy = builder_.node("shy", {in}, {out});
  try {
    compile();
    FAIL() << "a kernel that cannot be made must be an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::unimplemented);
    ASSERT_EQ(error.status().details.size(), 1u);
    EXPECT_EQ(error.status().details[0].first, "node");
    EXPECT_EQ(std::get<std::int64_t>(error.status().details[0].second), std::int64_t{shy});
  }
}

TEST_P(ToyTest, ExceptionsInsideBecomeErrors) {
  const auto in = builder_.value(SCF_ROLE_INPUT, {4}), out = builder_.value(SCF_ROLE_OUTPUT, {4});
  builder_.node("liar", {in}, {out});
  EXPECT_THAT(error_of([&] { compile(); }), HasSubstr("toy: compile: no such thing"));
}

TEST_P(ToyTest, FailedStepFailsItsSignal) {
  const auto in = builder_.value(SCF_ROLE_INPUT, {4}), out = builder_.value(SCF_ROLE_OUTPUT, {4});
  builder_.node("scale", {in}, {out});
  const Exec exec = bench_.instantiate(compile(), {});
  const scf_wait after = bench_.done().at(1);
  EXPECT_THROW(bench_.queue().submit(exec, {}, {}, {}, {&after, 1}), Error);
  EXPECT_THAT(error_of([&] { bench_.done().wait(1); }), HasSubstr("nothing is bound to 'v0'"));
}

TEST_P(ToyTest, FailureTravelsToEveryWaiterWithItsFirstCause) {
  const auto in = builder_.value(SCF_ROLE_INPUT, {4}), out = builder_.value(SCF_ROLE_OUTPUT, {4});
  builder_.node("scale", {in}, {out});
  bench_.give(in, 4);
  bench_.give(out, 4);
  const Exec exec = bench_.instantiate(compile(), {});
  Semaphore first = device_->create_semaphore(), second = device_->create_semaphore(),
            third = device_->create_semaphore();
  first.fail({Code::device_lost, "the cable was pulled", {}, {{"node", std::int64_t{7}}}});
  first.fail({Code::internal, "a later complaint", {}, {}});
  const auto io = bench_.bindings({in, out});
  const auto link = [&](const Semaphore& from, const Semaphore& to) {
    const scf_wait before = from.at(1), after = to.at(1);
    bench_.queue().submit(exec, {}, io, {&before, 1}, {&after, 1}); // not an error of this call
  };
  link(first, second);
  link(second, third);
  try {
    third.wait(1);
    FAIL() << "the failure must arrive";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::device_lost);
    EXPECT_THAT(error.what(), HasSubstr("the cable was pulled"));
    ASSERT_EQ(error.status().details.size(), 1u);
    EXPECT_EQ(std::get<std::int64_t>(error.status().details[0].second), 7);
  }
}

TEST_P(ToyTest, SubmitWaitsForTheHost) {
  const auto in = builder_.value(SCF_ROLE_INPUT, {4}), out = builder_.value(SCF_ROLE_OUTPUT, {4});
  builder_.node("scale", {in}, {out}, {{"factor", 2}});
  float* x = bench_.give(in, 4, 0);
  const float* result = bench_.give(out, 4);
  const Exec exec = bench_.instantiate(compile(), {});
  Semaphore ready = device_->create_semaphore();
  std::thread host([&] {
    std::fill_n(x, 4, 21.0f);
    ready.signal(5);
  });
  const scf_wait before = ready.at(5), after = bench_.done().at(1);
  bench_.queue().submit(exec, {}, bench_.bindings({in, out}), {&before, 1}, {&after, 1});
  host.join();
  bench_.done().wait(1);
  EXPECT_THAT(std::vector<float>(result, result + 4), Each(42.0f));
}

TEST_P(ToyTest, MemoryAnswersHonestly) {
  EXPECT_THAT(error_of([&] { device_->alloc(std::uint64_t{1} << 60); }), HasSubstr("not enough host memory"));
  EXPECT_THAT(error_of([&] { device_->alloc(64, 96); }), HasSubstr("power of two"));
  EXPECT_THAT(error_of([&] { device_->alloc(64, 64, 9); }), HasSubstr("no heap 9"));
  Buffer buffer = device_->alloc(100, 4096);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.map()) % 4096, 0u);
  EXPECT_THROW(buffer.slice(50, 51), Error);
  EXPECT_GT(device_->budget(0), 0u);
  std::vector<float> own(16, 3.0f);
  std::optional<Buffer> imported = device_->import_host(own.data(), 64, true);
  ASSERT_TRUE(imported);
  EXPECT_EQ(imported->map(), reinterpret_cast<std::byte*>(own.data()));
  EXPECT_TRUE(bench_.queue().copy(buffer.slice(0, 64), imported->slice(), {}, {}));
  EXPECT_EQ(*reinterpret_cast<float*>(buffer.map()), 3.0f);
}

/// What a device has written down since profile_begin, in the order of the drain.
struct Drained {
  std::vector<scf_profile_record> records;
  std::uint64_t lost = 0;

  std::vector<scf_profile_record> of(std::uint32_t worker) const {
    std::vector<scf_profile_record> own;
    std::copy_if(records.begin(), records.end(), std::back_inserter(own),
                 [&](const scf_profile_record& r) { return r.worker == worker; });
    return own;
  }
};

Drained drain(Device& device, const Exec& exec) {
  Drained drained;
  drained.lost = device.profile_drain([&](scf_exec* owner, const scf_profile_record& r) {
    EXPECT_EQ(owner, exec.handle());
    drained.records.push_back(r);
  });
  return drained;
}

/// in -> scale -> mid -> add a weight -> out, and beside it another scale of in.
class ToyProfileTest : public ToyTest {
protected:
  ToyProfileTest() {
    builder_.node("scale", {in_}, {mid_});
    builder_.node("scale", {in_}, {side_});
    builder_.node("add", {mid_, weight_}, {out_});
    for (const std::uint32_t value : {in_, weight_, out_, side_}) bench_.give(value, k_n);
    exec_ = bench_.instantiate(compile(), {weight_});
  }
  void step() { bench_.step(exec_, {}, {in_, out_, side_}); }
  Drained profile(std::uint32_t granularity, int steps = 1) {
    device_->profile_begin(granularity);
    for (int i = 0; i < steps; ++i) step();
    Drained drained = drain(*device_, exec_);
    device_->profile_end();
    return drained;
  }

  static constexpr std::int64_t k_n = 64;
  std::uint32_t in_ = builder_.value(SCF_ROLE_INPUT, {k_n}), mid_ = builder_.value(SCF_ROLE_TEMP, {k_n});
  std::uint32_t weight_ = builder_.value(SCF_ROLE_WEIGHT, {k_n}), out_ = builder_.value(SCF_ROLE_OUTPUT, {k_n});
  std::uint32_t side_ = builder_.value(SCF_ROLE_OUTPUT, {k_n});
  Exec exec_;
};
INSTANTIATE_TEST_SUITE_P(Workers, ToyProfileTest, ::testing::Values(1u, 4u));

TEST_P(ToyProfileTest, EachWorkerRecordsEachNode) {
  constexpr int steps = 3;
  const std::uint64_t before = device_->profile_correlate().host_ns;
  const Drained drained = profile(SCF_PROFILE_NODE, steps);
  const std::uint64_t after = device_->profile_correlate().host_ns;
  EXPECT_EQ(drained.lost, 0u);
  ASSERT_EQ(drained.records.size(), std::size_t{3 * steps} * GetParam());
  for (std::uint32_t worker = 0; worker < GetParam(); ++worker) {
    const auto own = drained.of(worker);
    ASSERT_EQ(own.size(), std::size_t{3 * steps});
    std::uint64_t last = before;
    for (std::size_t i = 0; i < own.size(); ++i) {
      EXPECT_EQ(own[i].first_node, i % 3);
      EXPECT_EQ(own[i].n_nodes, 1u);
      EXPECT_LE(last, own[i].t0);
      EXPECT_LE(own[i].t0, own[i].t1);
      last = own[i].t1;
    }
    EXPECT_LE(last, after);
  }
}

TEST_P(ToyProfileTest, ABarrierEndsOnAllWorkersAfterItsNodes) {
  const Drained drained = profile(SCF_PROFILE_NODE);
  std::uint64_t end_of_scales = 0;
  for (const scf_profile_record& r : drained.records)
    if (r.first_node != 2) end_of_scales = std::max(end_of_scales, r.t1);
  for (const scf_profile_record& r : drained.records) {
    if (r.first_node != 2) continue;
    EXPECT_GE(r.t0, end_of_scales) << "worker " << r.worker;
  }
}

TEST_P(ToyProfileTest, BytesAreThoseOfTheWeightsOnce) {
  for (const std::uint32_t granularity : {SCF_PROFILE_GROUP, SCF_PROFILE_NODE}) {
    std::map<std::uint32_t, std::uint64_t> bytes;
    for (const scf_profile_record& r : profile(granularity).records) bytes[r.first_node] += r.bytes;
    EXPECT_EQ(bytes, (std::map<std::uint32_t, std::uint64_t>{{0, 0}, {1, 0}, {2, k_n * sizeof(float)}}));
  }
}

TEST_P(ToyProfileTest, CoarserProfilesComeFromOneWorker) {
  const Drained groups = profile(SCF_PROFILE_GROUP);
  ASSERT_EQ(groups.records.size(), 3u);
  EXPECT_EQ(groups.of(0).size(), 3u);
  EXPECT_EQ(groups.records[0].t1, groups.records[1].t0) << "waiting belongs to the node before";
  const Drained whole = profile(SCF_PROFILE_PROGRAM);
  ASSERT_EQ(whole.records.size(), 1u);
  EXPECT_EQ(whole.records[0].n_nodes, 3u);
  EXPECT_TRUE(profile(SCF_PROFILE_OFF).records.empty());
}

TEST_P(ToyProfileTest, WhatDoesNotFitIsCounted) {
  const std::size_t capacity = sdk::ProfileLog::k_capacity;
  const std::size_t steps = capacity / 3 + 2;
  device_->profile_begin(SCF_PROFILE_NODE);
  for (std::size_t i = 0; i < steps; ++i) step();
  const Drained first = drain(*device_, exec_);
  EXPECT_EQ(first.records.size(), capacity * GetParam());
  EXPECT_EQ(first.lost, (steps * 3 - capacity) * GetParam());
  step();
  const Drained second = drain(*device_, exec_);
  EXPECT_EQ(second.records.size(), std::size_t{3} * GetParam()) << "a drain makes room";
  EXPECT_EQ(second.lost, first.lost) << "lost records count since the begin";
  device_->profile_begin(SCF_PROFILE_NODE);
  EXPECT_EQ(drain(*device_, exec_).lost, 0u);
  device_->profile_end();
}

TEST_P(ToyProfileTest, ResultsAreTheSame) {
  const auto sum = [&] {
    float* in = bench_.give(in_, k_n, 3);
    const float* out = bench_.give(out_, k_n);
    in[5] = 7;
    step();
    return std::vector<float>(out, out + k_n);
  };
  const auto plain = sum();
  device_->profile_begin(SCF_PROFILE_NODE);
  EXPECT_EQ(sum(), plain);
  device_->profile_end();
}

TEST_P(ToyTest, ObjectsMayGoInAnyOrder) {
  const auto in = builder_.value(SCF_ROLE_INPUT, {4}), out = builder_.value(SCF_ROLE_OUTPUT, {4});
  builder_.node("scale", {in}, {out}, {{"factor", 2}});
  Exec exec = [&] {
    const auto device = plugin_->open_device("toy:0");
    return device->compile(builder_.view())->instantiate({}, {});
  }();
  bench_.give(in, 4, 1);
  const float* result = bench_.give(out, 4);
  plugin_.reset();
  device_.reset();
  host_.reset();
  bench_.step(exec, {}, {in, out});
  EXPECT_THAT(std::vector<float>(result, result + 4), Each(2.0f));
}

} // namespace
} // namespace seacliff::plugins
