// Timelines: a value that only grows, or the first cause of a failure.
#include "plugins/loader/host.hpp"

#include <seacliff/sdk/timeline.hpp>

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace seacliff::plugins {
namespace {

class TimelineTest : public ::testing::Test {
protected:
  Code code(scf_status* status) const { return take_status(status).code; }

  HostServices host_{nullptr, {}};
  sdk::Timeline timeline_{host_.table(), 3};
};

TEST_F(TimelineTest, GrowsOnly) {
  std::uint64_t value = 0;
  EXPECT_EQ(code(timeline_.query(&value)), Code::ok);
  EXPECT_EQ(value, 3u);
  EXPECT_EQ(code(timeline_.signal(3)), Code::invalid_argument);
  EXPECT_EQ(code(timeline_.signal(10)), Code::ok);
  EXPECT_EQ(code(timeline_.signal(9)), Code::invalid_argument);
  EXPECT_EQ(code(timeline_.wait(10, 0)), Code::ok);
}

TEST_F(TimelineTest, LateIsAnAnswer) {
  EXPECT_EQ(code(timeline_.wait(4, 0)), Code::deadline_exceeded);
  EXPECT_EQ(code(timeline_.wait(4, 1000)), Code::deadline_exceeded);
}

TEST_F(TimelineTest, WakesEveryWaiter) {
  std::vector<std::thread> waiters;
  std::vector<Code> seen(4, Code::unknown);
  for (std::size_t i = 0; i < seen.size(); ++i)
    waiters.emplace_back([&, i] { seen[i] = code(timeline_.wait(4 + i, sdk::Timeline::k_forever)); });
  for (std::uint64_t value = 4; value < 8; ++value) EXPECT_EQ(code(timeline_.signal(value)), Code::ok);
  for (std::thread& waiter : waiters) waiter.join();
  EXPECT_EQ(seen, std::vector<Code>(4, Code::ok));
}

TEST_F(TimelineTest, FailureIsFinalAndKeepsItsFirstCause) {
  Status received;
  std::thread waiter([&] { received = take_status(timeline_.wait(5, sdk::Timeline::k_forever)); });
  timeline_.fail(make_status({Code::device_lost, "first", {}, {}}));
  timeline_.fail(make_status({Code::internal, "second", {}, {}}));
  waiter.join();
  EXPECT_EQ(received.message, "first");
  EXPECT_EQ(code(timeline_.signal(100)), Code::device_lost);
  std::uint64_t value = 0;
  EXPECT_EQ(code(timeline_.query(&value)), Code::device_lost);
  EXPECT_EQ(code(timeline_.wait(3, 0)), Code::ok) << "what was reached before stays reached";
}

TEST_F(TimelineTest, FailureWithoutACauseIsStillAFailure) {
  timeline_.fail(nullptr);
  EXPECT_EQ(code(timeline_.wait(4, 0)), Code::unknown);
}

} // namespace
} // namespace seacliff::plugins
