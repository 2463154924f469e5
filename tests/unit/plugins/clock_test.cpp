// Device ticks on the host's clock.
#include "plugins/loader/plugin.hpp"

#include <gtest/gtest.h>

namespace seacliff::plugins {
namespace {

constexpr std::uint64_t k_second = 1'000'000'000;

TEST(ClockLine, TakesTheRateBetweenTheTwoMoments) {
  // Nominally 10 ns a tick; in truth 1e-4 faster: ten seconds are 10'000.1 million ticks.
  const ClockPair begin{500, 7 * k_second, 10.0}, end{500 + 1'000'100'000, 17 * k_second, 10.0};
  const ClockLine line(begin, end);
  EXPECT_NEAR(static_cast<double>(line.host_ns(500)), 7e9, 2);
  EXPECT_EQ(line.host_ns(end.device_ticks), 17 * k_second);
  EXPECT_NEAR(static_cast<double>(line.host_ns(500 + 500'050'000)), 12e9, 2) << "the nominal rate is 0.5 ms off here";
}

TEST(ClockLine, TakesTheNominalRateForAMoment) {
  const ClockPair begin{1000, 5000, 2.0}, end{1010, 5033, 2.0};
  EXPECT_EQ(ClockLine(begin, end).host_ns(1005), 5033u - 10u);
  EXPECT_EQ(ClockLine({}, {}).host_ns(7), 7u);
}

TEST(ClockLine, TheSameClockStaysExact) {
  const std::uint64_t t = std::uint64_t{1} << 60;
  const ClockLine line({t, t, 1.0}, {t + 3 * k_second + 1, t + 3 * k_second + 1, 1.0});
  for (const std::uint64_t at : {t, t + 1, t + k_second + 12345}) EXPECT_EQ(line.host_ns(at), at);
}

} // namespace
} // namespace seacliff::plugins
