#include "core/base/progress.hpp"
#include "plugins/conformance/report.hpp"

#include <fmt/color.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <set>

namespace seacliff::conform {
namespace {

constexpr std::size_t k_most_notes = 12; // of one kind

/// 'word' for a shell.
std::string in_quotes(const std::string& word) {
  const bool plain = std::all_of(word.begin(), word.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || std::string_view("-_./:=,@+").find(static_cast<char>(c)) != std::string_view::npos;
  });
  return plain ? word : "'" + word + "'";
}

} // namespace

struct Console::Impl {
  std::string repro;
  bool verbose, colours = isatty(STDOUT_FILENO) != 0;
  const Level* level = nullptr;
  std::optional<Progress> bar;
  std::int64_t done = 0;
  int passed = 0, failed = 0, excused = 0, skipped = 0;
  double seconds = 0;
  std::vector<std::string> notes;

  void word(fmt::terminal_color colour, std::string_view text) const {
    if (colours)
      fmt::print(fmt::fg(colour) | fmt::emphasis::bold, "{}", text);
    else
      fmt::print("{}", text);
  }

  void show_bar(bool on) {
    bar.reset();
    if (on) bar.emplace(level->name, static_cast<std::int64_t>(level->tests.size()), "tests");
  }
};

Console::Console(std::string repro, bool verbose) : impl_(std::make_unique<Impl>()) {
  impl_->repro = std::move(repro);
  impl_->verbose = verbose;
}
Console::~Console() = default;

void Console::level_begins(const Level& level) {
  impl_->level = &level;
  impl_->done = impl_->passed = impl_->failed = impl_->excused = impl_->skipped = 0;
  impl_->seconds = 0;
  impl_->show_bar(true);
}

void Console::test_begins(const Test& test) {
  impl_->bar->update(impl_->done, fmt::format("{} {}", test.id, test.title));
}

void Console::test_ends(const Judged& judged) {
  Impl& c = *impl_;
  const Result& result = judged.result;
  ++c.done;
  c.seconds += result.seconds;
  for (const std::string& note : result.notes) c.notes.push_back(fmt::format("{}: {}", result.id, note));
  if (judged.failed()) {
    ++c.failed;
    c.show_bar(false);
    std::set<std::string> seen; // of a check that fails twice, the first says enough
    for (const Finding& finding : result.findings) {
      if (!seen.insert(finding.check).second && !c.verbose) continue;
      c.word(fmt::terminal_color::red, "FAIL ");
      fmt::print("{} [{}] {}{}{}\n", result.id, finding.check, result.title, result.title.empty() ? "" : ": ",
                 finding.text);
    }
    if (!result.id.starts_with("expect:")) fmt::print("     repeat: {} --only {}\n", c.repro, in_quotes(result.id));
    std::fflush(stdout);
    c.show_bar(true);
  } else if (result.outcome == Outcome::fail) {
    ++c.excused;
  } else if (result.outcome == Outcome::skip) {
    ++c.skipped;
    if (c.verbose) fmt::print("skip {} {}: {}\n", result.id, result.title, result.reason);
  } else {
    ++c.passed;
    if (c.verbose) fmt::print("pass {} {} ({:.3f} s)\n", result.id, result.title, result.seconds);
  }
}

void Console::level_ends() {
  Impl& c = *impl_;
  c.bar.reset();
  std::vector<std::string> counts;
  const auto count = [&](int n, std::string_view what) {
    if (n != 0) counts.push_back(fmt::format("{} {}", n, what));
  };
  count(c.passed, "passed");
  count(c.failed, "failed");
  count(c.excused, "failed as expected");
  count(c.skipped, "skipped");
  if (counts.empty()) counts.emplace_back("nothing to do");
  c.word(c.failed != 0 ? fmt::terminal_color::red : fmt::terminal_color::green, c.level->name);
  fmt::print(" {}: {} ({:.1f} s)\n", c.level->about, fmt::join(counts, ", "), c.seconds);
  for (std::size_t i = 0; i < c.notes.size() && (c.verbose || i < k_most_notes); ++i)
    fmt::print("     note: {}\n", c.notes[i]);
  if (!c.verbose && c.notes.size() > k_most_notes)
    fmt::print("     note: {} more, see --verbose\n", c.notes.size() - k_most_notes);
  c.notes.clear();
  std::fflush(stdout);
}

void Console::summary(const std::vector<Judged>& all, double seconds) {
  const auto failed = std::count_if(all.begin(), all.end(), [](const Judged& j) { return j.failed(); });
  if (failed == 0)
    impl_->word(fmt::terminal_color::green, "conforms");
  else
    impl_->word(fmt::terminal_color::red, fmt::format("{} failed", failed));
  fmt::print(": {} tests in {:.1f} s\n", all.size(), seconds);
}

} // namespace seacliff::conform
