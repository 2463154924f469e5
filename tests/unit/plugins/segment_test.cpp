// What a program becomes: memory shared, rows made where they are read, forms shared, barriers where they are needed.
// To add a test: build a segment with builder_, compile() it, bind with bench_, step() it.
#include "tests/unit/plugins/toy_fixture.hpp"

namespace seacliff::plugins {
namespace {

using ::testing::Each;

class SegmentTest : public ToyTest {};
INSTANTIATE_TEST_SUITE_P(Workers, SegmentTest, ::testing::Values(1u, 4u));

TEST_P(SegmentTest, RunsAChainAndSharesItsScratch) {
  constexpr std::int64_t n = 1000;
  constexpr int length = 20;
  const auto in = builder_.value(SCF_ROLE_INPUT, {n});
  const auto one = builder_.value(SCF_ROLE_WEIGHT, {n});
  auto last = in;
  for (int i = 0; i < length; ++i) {
    const auto next = builder_.value(i + 1 == length ? SCF_ROLE_OUTPUT : SCF_ROLE_TEMP, {n});
    builder_.node("add", {last, one}, {next});
    last = next;
  }
  const auto program = compile();
  // Of a chain two links are alive at a time.
  ASSERT_EQ(program->requirements().needs.size(), 1u);
  EXPECT_LE(program->requirements().needs[0].bytes, 2 * sdk::align_up(n * 4, 64));
  EXPECT_EQ(program->requirements().launches, 1u);
  EXPECT_EQ(program->requirements().barriers, length - 1u);

  bench_.give(in, n, 5);
  bench_.give(one, n, 1);
  const float* out = bench_.give(last, n);
  const Exec exec = bench_.instantiate(program, {one});
  bench_.step(exec, {}, {in, last});
  EXPECT_THAT(std::vector<float>(out, out + n), Each(5.0f + length));
}

TEST_P(SegmentTest, ResultsTakeTheMemoryOfWhatNobodyNeeds) {
  constexpr std::int64_t n = 1000;
  const auto in = builder_.value(SCF_ROLE_INPUT, {n}), out = builder_.value(SCF_ROLE_OUTPUT, {n});
  auto last = builder_.value(SCF_ROLE_TEMP, {n});
  builder_.node("scale", {in}, {last}, {{"factor", 1}}); // an input is never written
  for (int i = 0; i < 10; ++i) {
    const auto next = builder_.value(SCF_ROLE_TEMP, {n});
    builder_.node("scale", {last}, {next}, {{"factor", 2}});
    last = next;
  }
  builder_.node("scale", {last}, {out}, {{"factor", 3}});
  const auto program = compile();
  ASSERT_EQ(program->requirements().needs.size(), 1u);
  EXPECT_EQ(program->requirements().needs[0].bytes, sdk::align_up(n * 4, 64));
  EXPECT_EQ(program->requirements().barriers, 11u);
  bench_.give(in, n, 1);
  const float* result = bench_.give(out, n);
  const Exec exec = bench_.instantiate(program, {});
  bench_.step(exec, {}, {in, out});
  EXPECT_THAT(std::vector<float>(result, result + n), Each(3072.0f));
}

TEST_P(SegmentTest, RowsAreMadeAndTakenWhereTheyAreNeeded) {
  constexpr std::int64_t n = 1000;
  const auto in = builder_.value(SCF_ROLE_INPUT, {n}), one = builder_.value(SCF_ROLE_WEIGHT, {n});
  const auto out = builder_.value(SCF_ROLE_OUTPUT, {n});
  std::vector<std::uint32_t> v;
  for (int i = 0; i < 6; ++i) v.push_back(builder_.value(SCF_ROLE_TEMP, {n}));
  builder_.node("scale", {in}, {v[0]}, {{"factor", 2}});
  builder_.node("part", {v[0], one}, {v[1]}, {{"factor", 3}}); // 3 * 2 x + 1
  builder_.node("scale", {in}, {v[2]}, {{"factor", 100}});     // may lie between
  builder_.node("part", {v[1], v[2]}, {v[3]}, {{"factor", 1}});
  builder_.node("pieces", {v[3]}, {v[4]}, {{"grain", 20}});
  builder_.node("part", {v[4], one}, {v[5]}, {{"factor", 10}});
  builder_.node("add", {v[5], one}, {out});
  const auto program = compile();
  EXPECT_EQ(program->requirements().barriers, 2u); // in front of the pieces and behind them
  bench_.give(in, n, 4);
  bench_.give(one, n, 1);
  const float* result = bench_.give(out, n);
  const Exec exec = bench_.instantiate(program, {one});
  for (int step = 0; step < 2; ++step) {
    bench_.step(exec, {}, {in, out});
    EXPECT_THAT(std::vector<float>(result, result + n), Each((25.0f + 400 + 1) * 10 + 1 + 1));
  }
}

TEST_P(SegmentTest, ReadersTakeWhatIsHandedOn) {
  constexpr std::int64_t n = 1000;
  const auto in = builder_.value(SCF_ROLE_INPUT, {n}), state = builder_.value(SCF_ROLE_STATE, {n});
  const auto out = builder_.value(SCF_ROLE_OUTPUT, {n}), last = builder_.value(SCF_ROLE_OUTPUT, {n});
  std::vector<std::uint32_t> v;
  for (int i = 0; i < 5; ++i) v.push_back(builder_.value(SCF_ROLE_TEMP, {n}));
  builder_.node("pieces", {in}, {v[0]}, {{"grain", 20}});
  builder_.node("part", {v[0]}, {v[1]}, {{"factor", 3}}); // joins the pieces: what it makes is taken
  builder_.node("scale", {in}, {v[2]}, {{"factor", 100}});
  builder_.node("accumulate", {v[2], state}, {state}); // has scratch, while the taken rows wait in theirs
  builder_.node("taker", {v[1]}, {v[3]});
  builder_.node("pieces", {v[3]}, {v[4]}, {{"grain", 15}}); // no multiple of ten
  builder_.node("taker", {v[4]}, {last});
  builder_.node("add", {v[1], v[3]}, {out}); // others still find the rows themselves
  const auto program = compile();
  bench_.give(in, n, 4);
  bench_.give(state, n);
  const float *result = bench_.give(out, n), *untaken = bench_.give(last, n);
  const Exec exec = bench_.instantiate(program, {state});
  for (int step = 0; step < 2; ++step) {
    bench_.step(exec, {}, {in, out, last});
    EXPECT_THAT(std::vector<float>(result, result + n), Each(15.0f + 2 * 15 + 1000));
    EXPECT_THAT(std::vector<float>(untaken, untaken + n), Each(2 * (2.0f * 15 + 1000 + 1)));
  }
}

TEST_P(SegmentTest, FormsAreSharedByKernelsThatReadTheSame) {
  constexpr std::int64_t n = 1000;
  const auto in = builder_.value(SCF_ROLE_INPUT, {n}), state = builder_.value(SCF_ROLE_STATE, {n});
  const auto a = builder_.value(SCF_ROLE_TEMP, {n}), b = builder_.value(SCF_ROLE_TEMP, {n});
  std::vector<std::uint32_t> out;
  for (int i = 0; i < 4; ++i) out.push_back(builder_.value(SCF_ROLE_OUTPUT, {n}));
  const auto former = [&](std::uint32_t x, std::uint32_t y, std::int64_t kind, std::int64_t mark) {
    builder_.node("former", {x}, {y}, {{"kind", kind}, {"mark", mark}});
  };
  builder_.node("scale", {in}, {a}, {{"factor", 2}});
  builder_.node("scale", {in}, {b}, {{"factor", 3}});
  former(a, out[0], 0, 100);
  former(b, out[1], 0, 200);                        // of another value
  builder_.node("accumulate", {b, state}, {state}); // has scratch
  former(a, out[2], 1, 300);                        // of another kind
  former(a, out[3], 0, 400);                        // finds what the first has made
  const auto program = compile();
  bench_.give(in, n, 4);
  bench_.give(state, n);
  std::vector<const float*> y;
  for (const auto value : out) y.push_back(bench_.give(value, n));
  const Exec exec = bench_.instantiate(program, {state});
  for (int step = 0; step < 2; ++step) {
    bench_.step(exec, {}, {in, out[0], out[1], out[2], out[3]});
    const float want[4] = {2 * 8 + 100, 2 * 12 + 200, 2 * 8 + 300, 2 * 8 + 100};
    for (int i = 0; i < 4; ++i) EXPECT_THAT(std::vector<float>(y[i], y[i] + n), Each(want[i])) << i;
  }
}

TEST_P(SegmentTest, RowsThatOthersWantAreMadeForAll) {
  constexpr std::int64_t n = 1000;
  const auto in = builder_.value(SCF_ROLE_INPUT, {n}), out = builder_.value(SCF_ROLE_OUTPUT, {n});
  std::vector<std::uint32_t> v;
  for (int i = 0; i < 5; ++i) v.push_back(builder_.value(SCF_ROLE_TEMP, {n}));
  builder_.node("scale", {in}, {v[0]}, {{"factor", 2}});
  builder_.node("part", {v[0]}, {v[1]}, {{"factor", 3}});
  builder_.node("scale", {v[1]}, {v[2]}, {{"factor", 2}}); // wants what the pieces want, and comes first
  builder_.node("pieces", {v[1]}, {v[3]}, {{"grain", 20}});
  builder_.node("add", {v[2], v[3]}, {v[4]});
  builder_.node("pieces", {v[4]}, {out}, {{"grain", 15}});
  const auto program = compile();
  EXPECT_EQ(program->requirements().barriers, 5u);
  bench_.give(in, n, 4);
  const float* result = bench_.give(out, n);
  const Exec exec = bench_.instantiate(program, {});
  bench_.step(exec, {}, {in, out});
  EXPECT_THAT(std::vector<float>(result, result + n), Each(48.0f + 25 + 1));
}

TEST_P(SegmentTest, OnlyWholeRowsAreJoined) {
  constexpr std::int64_t n = 1000;
  const auto in = builder_.value(SCF_ROLE_INPUT, {n}), out = builder_.value(SCF_ROLE_OUTPUT, {n});
  const auto a = builder_.value(SCF_ROLE_TEMP, {n}), b = builder_.value(SCF_ROLE_TEMP, {n});
  builder_.node("part", {in}, {a}, {{"factor", 3}});
  builder_.node("pieces", {a}, {b}, {{"grain", 25}}); // no multiple of ten
  builder_.node("part", {b}, {out}, {{"factor", 2}}); // an output stays where it is
  const auto program = compile();
  EXPECT_EQ(program->requirements().barriers, 2u);
  bench_.give(in, n, 4);
  const float* result = bench_.give(out, n);
  const Exec exec = bench_.instantiate(program, {});
  bench_.step(exec, {}, {in, out});
  EXPECT_THAT(std::vector<float>(result, result + n), Each(26.0f));
}

TEST_P(SegmentTest, WhatIsNeededLaterIsNotOverwritten) {
  constexpr std::int64_t n = 1000;
  const auto in = builder_.value(SCF_ROLE_INPUT, {n}), out = builder_.value(SCF_ROLE_OUTPUT, {n});
  const auto kept = builder_.value(SCF_ROLE_TEMP, {n}), doubled = builder_.value(SCF_ROLE_TEMP, {n}),
             sum = builder_.value(SCF_ROLE_TEMP, {n}), over = builder_.value(SCF_ROLE_TEMP, {n});
  builder_.node("scale", {in}, {kept}, {{"factor", 5}});
  builder_.node("scale", {kept}, {doubled}, {{"factor", 2}}); // kept is read again
  builder_.node("add", {kept, doubled}, {sum});
  builder_.node("scale", {kept}, {over}, {{"factor", 10}}); // and now no more: the sum must be there first
  builder_.node("add", {sum, over}, {out});
  const auto program = compile();
  EXPECT_EQ(program->requirements().barriers, 4u);
  ASSERT_EQ(program->requirements().needs.size(), 1u);
  EXPECT_EQ(program->requirements().needs[0].bytes, 3 * sdk::align_up(n * 4, 64));
  bench_.give(in, n, 1);
  const float* result = bench_.give(out, n);
  const Exec exec = bench_.instantiate(program, {});
  bench_.step(exec, {}, {in, out});
  EXPECT_THAT(std::vector<float>(result, result + n), Each(65.0f));
}

TEST_P(SegmentTest, IndependentNodesNeedNoBarrier) {
  const auto in = builder_.value(SCF_ROLE_INPUT, {64});
  const auto left = builder_.value(SCF_ROLE_TEMP, {64}), right = builder_.value(SCF_ROLE_TEMP, {64});
  const auto out = builder_.value(SCF_ROLE_OUTPUT, {64});
  builder_.node("scale", {in}, {left}, {{"factor", 2}});
  builder_.node("scale", {in}, {right}, {{"factor", 3}});
  builder_.node("add", {left, right}, {out});
  const auto program = compile();
  EXPECT_EQ(program->requirements().barriers, 1u);
  bench_.give(in, 64, 1);
  const float* result = bench_.give(out, 64);
  const Exec exec = bench_.instantiate(program, {});
  bench_.step(exec, {}, {in, out});
  EXPECT_THAT(std::vector<float>(result, result + 64), Each(5.0f));
}

} // namespace
} // namespace seacliff::plugins
