#include "plugins/conformance/supervise.hpp"

#include "core/base/log.hpp"
#include "plugins/conformance/context.hpp"

#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstring>
#include <optional>

namespace seacliff::conform {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr int k_most_crashes = 8;            // of one level; what is left is given up
constexpr std::size_t k_longest_quote = 600; // bytes of what a plugin printed

/// All but the findings, which were told before.
Json to_json(const Result& r) {
  return {{"outcome", static_cast<int>(r.outcome)},
          {"reason", r.reason},
          {"notes", r.notes},
          {"metrics", r.metrics},
          {"seconds", r.seconds}};
}

void read_json(const Json& json, Result& r) {
  r.outcome = static_cast<Outcome>(json.at("outcome").get<int>());
  r.reason = json.at("reason");
  r.notes = json.at("notes").get<std::vector<std::string>>();
  r.metrics = json.at("metrics").get<std::map<std::string, double>>();
  r.seconds = json.at("seconds");
}

Result blank(const Test& test) {
  Result result;
  result.id = test.id;
  result.title = test.title;
  result.op = test.op;
  result.dtype = test.dtype;
  return result;
}

/// Where standard output and standard error of a child go.
class Printed {
public:
  Printed() : fd_(memfd_create("seacliff-conform-output", 0)) {}
  ~Printed() { close(fd_); }
  Printed(const Printed&) = delete;
  Printed& operator=(const Printed&) = delete;

  int fd() const { return fd_; }
  std::uint64_t size() const {
    struct stat info {};
    return fstat(fd_, &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
  }
  /// The text behind `from`, cut in the middle when long.
  std::string text(std::uint64_t from) const {
    std::string all(size() - std::min(from, size()), '\0');
    const ssize_t got = pread(fd_, all.data(), all.size(), static_cast<off_t>(from));
    all.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    while (!all.empty() && all.back() == '\n') all.pop_back();
    if (all.size() > k_longest_quote)
      all = all.substr(0, k_longest_quote / 2) + " [...] " + all.substr(all.size() - k_longest_quote / 2);
    return all;
  }

private:
  int fd_;
};

// ---- the child ---------------------------------------------------------------------------------------------------

/// Messages of a child: one JSON text per line.
class Line {
public:
  explicit Line(int fd) : fd_(fd) {}
  void say(const Json& message) const {
    const std::string text = message.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    for (std::size_t done = 0; done < text.size();) {
      const ssize_t n = write(fd_, text.data() + done, text.size() - done);
      if (n <= 0) _exit(3); // nobody listens any more
      done += static_cast<std::size_t>(n);
    }
  }

private:
  int fd_;
};

/// Whether the loader saw an exception come out of the plugin.
bool crossed(const Error& error) {
  for (const auto& [key, value] : error.status().details)
    if (key == "exception") return true;
  return false;
}

void run_body(const Test& test, Trial& trial, Context& context, Result& result) {
  try {
    test.run(trial, context);
  } catch (const Stop&) {
  } catch (const Skip& skip) {
    result.outcome = Outcome::skip;
    result.reason = skip.reason;
  } catch (const Error& error) {
    trial.fail(crossed(error) ? "exception" : "error", error.what());
  } catch (const std::exception& error) {
    trial.fail("exception", fmt::format("an exception came out of the plugin: {}", error.what()));
  } catch (...) {
    trial.fail("exception", "an exception of unknown type came out of the plugin");
  }
}

Result run_here(const Test& test, Context& context, const Printed& printed, const Line& line) {
  Result result = blank(test);
  Trial trial(result, [&](const Finding& finding) { line.say({{"finding", {finding.check, finding.text}}}); });
  const std::uint64_t before = printed.size();
  const auto start = Clock::now();
  run_body(test, trial, context, result);
  result.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  std::fflush(nullptr);
  if (printed.size() > before)
    trial.fail("output", fmt::format("the plugin printed {} bytes: {}", printed.size() - before, printed.text(before)));
  if (!result.findings.empty()) result.outcome = Outcome::fail;
  return result;
}

[[noreturn]] void child(const std::vector<Test>& tests, std::size_t begin, std::size_t end, const Settings& settings,
                        int to_parent, const Printed& printed) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  dup2(printed.fd(), STDOUT_FILENO);
  dup2(printed.fd(), STDERR_FILENO);
  log::set_level(0); // what plugins log through the host is theirs to say
  const Line line(to_parent);
  {
    Context context(settings);
    for (std::size_t i = begin; i < end; ++i) {
      line.say({{"begin", i}});
      const Result result = run_here(tests[i], context, printed, line);
      line.say({{"end", i}, {"result", to_json(result)}});
    }
    line.say({{"closing", true}});
  }
  line.say({{"bye", true}});
  _exit(0);
}

// ---- the parent --------------------------------------------------------------------------------------------------

struct Ending {
  bool orderly = false;
  std::optional<std::size_t> running; // the test that ran when it ended; none: closing
  std::size_t done;                   // tests before this one have their result
  std::vector<Finding> findings;      // of `running`, and last, unless orderly, how the process ended
};

/// One child for the tests [begin, end).
class Watch {
public:
  Watch(const std::vector<Test>& tests, std::size_t begin, std::size_t end, const Settings& settings,
        const Watcher& watcher)
      : tests_(tests), settings_(settings), watcher_(watcher) {
    ending_.done = begin;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw Error(Code::resource_exhausted, "no pipe for a child process");
    std::fflush(nullptr);
    pid_ = fork();
    if (pid_ < 0) throw Error(Code::resource_exhausted, "no child process can be started");
    if (pid_ == 0) {
      close(ends[0]);
      child(tests, begin, end, settings, ends[1], printed_);
    }
    close(ends[1]);
    from_child_ = ends[0];
  }
  ~Watch() { close(from_child_); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  Ending follow() {
    mark_ = printed_.size();
    restart_clock();
    bool hung = false;
    while (!hung && listen(hung)) {
    }
    if (hung) kill(pid_, SIGKILL);
    int status = 0;
    waitpid(pid_, &status, 0);
    if (!ending_.orderly) ending_.findings.push_back(hung ? hang() : death(status));
    return ending_;
  }

private:
  void restart_clock() {
    const double patience = ending_.running ? tests_[*ending_.running].patience : 1;
    deadline_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                   std::chrono::duration<double>(settings_.limit_s * patience));
  }

  /// False at the end of the child's messages.
  bool listen(bool& hung) {
    pollfd poller{from_child_, POLLIN, 0};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - Clock::now()).count();
    const int ready = poll(&poller, 1, static_cast<int>(std::max<std::int64_t>(left, 0)));
    if (ready == 0) hung = true;
    if (ready <= 0) return true;
    char bytes[4096];
    const ssize_t n = read(from_child_, bytes, sizeof bytes);
    if (n <= 0) return false;
    buffer_.append(bytes, static_cast<std::size_t>(n));
    for (std::size_t eol; (eol = buffer_.find('\n')) != std::string::npos; buffer_.erase(0, eol + 1))
      hear(Json::parse(buffer_.substr(0, eol)));
    return true;
  }

  void hear(const Json& message) {
    if (message.contains("begin")) {
      ending_.running = message["begin"].get<std::size_t>();
      mark_ = printed_.size();
      if (watcher_.begin) watcher_.begin(tests_[*ending_.running]);
    } else if (message.contains("finding")) {
      ending_.findings.push_back({message["finding"][0], message["finding"][1]});
    } else if (message.contains("end")) {
      const std::size_t i = message["end"];
      Result result = blank(tests_[i]);
      read_json(message["result"], result);
      result.findings = std::exchange(ending_.findings, {});
      ending_.running.reset();
      ending_.done = i + 1;
      watcher_.end(std::move(result));
    } else if (message.contains("bye")) {
      ending_.orderly = true;
    }
    restart_clock();
  }

  Finding hang() const {
    return {"hang", fmt::format("nothing came back within {:.0f} s: the process was ended", settings_.limit_s)};
  }

  Finding death(int status) const {
    const std::string said = printed_.text(mark_), quote = said.empty() ? "" : ": " + said;
    if (WIFSIGNALED(status))
      return {"crash", fmt::format("the process died of {} ({}){}", sigabbrev(WTERMSIG(status)),
                                   strsignal(WTERMSIG(status)), quote)};
    return {"exit", fmt::format("the plugin ended the process with exit code {}{}", WEXITSTATUS(status), quote)};
  }

  static std::string sigabbrev(int number) {
    const char* name = sigabbrev_np(number);
    return name == nullptr ? fmt::format("signal {}", number) : fmt::format("SIG{}", name);
  }

  const std::vector<Test>& tests_;
  const Settings& settings_;
  const Watcher& watcher_;
  Printed printed_;
  pid_t pid_ = -1;
  int from_child_ = -1;
  std::string buffer_;
  std::uint64_t mark_ = 0; // of what was printed before the running test
  Clock::time_point deadline_;
  Ending ending_;
};

Result failed(Result result, std::vector<Finding> findings) {
  result.outcome = Outcome::fail;
  result.findings = std::move(findings);
  return result;
}

} // namespace

void Trial::stop(std::string check, std::string text) {
  fail(std::move(check), std::move(text));
  throw Stop{};
}

void Trial::skip(std::string reason) { throw Skip{std::move(reason)}; }

void run_level(const Level& level, const Settings& settings, const Watcher& watcher) {
  const std::vector<Test>& tests = level.tests;
  int crashes = 0;
  bool close_told = false;
  for (std::size_t next = 0; next < tests.size();) {
    const std::size_t end = level.isolated ? next + 1 : tests.size();
    const Ending ending = Watch(tests, next, end, settings, watcher).follow();
    next = ending.done;
    if (ending.orderly) continue;
    if (ending.running) {
      watcher.end(failed(blank(tests[*ending.running]), ending.findings));
      next = *ending.running + 1;
    } else if (!std::exchange(close_told, true)) {
      Result result;
      result.id = level.name + ":close";
      result.title = "when the plugin was closed behind the tests";
      watcher.end(failed(std::move(result), ending.findings));
    }
    if (!ending.running && next < end) next = end; // it died before its first word
    if (level.isolated || ++crashes < k_most_crashes) continue;
    for (; next < tests.size(); ++next) {
      Result result = blank(tests[next]);
      result.outcome = Outcome::skip;
      result.reason = fmt::format("given up after {} crashes of this level", crashes);
      watcher.end(std::move(result));
    }
  }
}

Result run_alone(const Test& test, const Settings& settings) {
  Result only;
  const Level level{"probe", "", {test}, true};
  run_level(level, settings, {{}, [&](Result result) {
                                if (only.id.empty()) only = std::move(result);
                              }});
  return only;
}

} // namespace seacliff::conform
