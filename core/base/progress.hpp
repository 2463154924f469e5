// A progress bar on stderr: only on a terminal, only for work that takes a while, gone when the work is done.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace seacliff {

class Progress {
public:
  /// `unit` is that of `total`: "tok", "MB".
  Progress(std::string_view label, std::int64_t total, std::string_view unit);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Redraws at most ten times a second. `detail` follows the figures: the tensor at work.
  void update(std::int64_t done, std::string_view detail = {});

private:
  using Clock = std::chrono::steady_clock;

  std::string label_, unit_;
  std::int64_t total_;
  Clock::time_point start_, last_draw_;
  bool terminal_, drawn_ = false;
};

} // namespace seacliff
