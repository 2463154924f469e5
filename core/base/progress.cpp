#include "core/base/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace seacliff {
namespace {

constexpr auto k_quiet = std::chrono::milliseconds(500); // shorter work shows nothing
constexpr auto k_redraw = std::chrono::milliseconds(100);
constexpr std::int64_t k_width = 24; // cells of the bar

} // namespace

Progress::Progress(std::string_view label, std::int64_t total, std::string_view unit)
    : label_(label), unit_(unit), total_(total), start_(Clock::now()), last_draw_(start_),
      terminal_(isatty(STDERR_FILENO) != 0) {}

Progress::~Progress() {
  if (drawn_) fmt::print(stderr, "\r\x1b[K");
}

void Progress::update(std::int64_t done, std::string_view detail) {
  const auto now = Clock::now();
  if (!terminal_ || total_ <= 0 || now - start_ < k_quiet || now - last_draw_ < k_redraw) return;
  last_draw_ = now;
  drawn_ = true;
  const double share = std::clamp(static_cast<double>(done) / static_cast<double>(total_), 0.0, 1.0);
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  const auto filled = static_cast<std::int64_t>(share * static_cast<double>(k_width));
  const double left = share > 0 ? elapsed * (1 - share) / share : 0;
  fmt::print(stderr, "\r\x1b[K{} [{:#<{}}{:.<{}}] {:3.0f} % {:.0f} {}/s, {:.0f} s left {}", label_, "", filled, "",
             k_width - filled, share * 100, static_cast<double>(done) / elapsed, unit_, left, detail);
  std::fflush(stderr);
}

} // namespace seacliff
