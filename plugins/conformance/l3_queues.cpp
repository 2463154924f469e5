// L3: timelines and queues: values grow, failures travel with their first cause, nobody waits for ever.
#include "plugins/conformance/context.hpp"
#include "plugins/conformance/levels.hpp"
#include "plugins/conformance/workbench.hpp"
#include "plugins/loader/tables.hpp"

#include "ops/cases/tolerance.hpp"
#include "ops/reference/kernels.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>

namespace seacliff::conform {
namespace {

using plugins::Device;
using plugins::Semaphore;

constexpr std::uint64_t k_soon = 20'000'000; // ns: long enough to be told from none, short enough to be waited for

const Status k_cause{Code::device_lost, "the kit pulled the plug", {}, {}};

/// What a call throws; ok when it does not.
template <typename Body> Status outcome(Body&& body) {
  try {
    body();
    return {};
  } catch (const Error& error) {
    return error.status();
  }
}

void expect_cause(Trial& trial, const Status& status, std::string_view who) {
  const bool same = status.code == k_cause.code && status.message.find(k_cause.message) != std::string::npos;
  trial.expect(same, "failure",
               fmt::format("{} receives {} \"{}\", not the first cause", who, code_name(status.code), status.message));
}

// ---- timelines -----------------------------------------------------------------------------------------------------

void counting(Trial& trial, Device& device) {
  Semaphore sema = device.create_semaphore(7);
  trial.expect(sema.value() == 7, "value", "a timeline does not begin at its initial value");
  sema.wait(0, 0);
  sema.wait(7, 0);
  sema.signal(9);
  trial.expect(sema.value() == 9, "value", "a timeline is not at the value signalled");
  sema.wait(8, k_soon);
  for (const std::uint64_t value : {9ull, 3ull})
    trial.expect(!outcome([&] { sema.signal(value); }).ok(), "value", "a timeline takes a value that is not larger");
  trial.expect(sema.value() == 9, "value", "a refused signal changed the value");
  constexpr std::uint64_t k_far = 9 + (1ull << 31) - 1; // as far as a value goes at a time
  sema.signal(k_far);
  sema.wait(k_far, 0);
}

void deadlines(Trial& trial, Device& device) {
  const Semaphore sema = device.create_semaphore(0);
  for (const std::uint64_t timeout : {std::uint64_t{0}, k_soon}) {
    const auto start = std::chrono::steady_clock::now();
    const Status status = outcome([&] { sema.wait(1, timeout); });
    const auto took = std::chrono::steady_clock::now() - start;
    trial.expect(status.code == Code::deadline_exceeded, "deadline",
                 fmt::format("a wait that is late is {}, not deadline_exceeded", code_name(status.code)));
    trial.expect(took >= std::chrono::nanoseconds(timeout) * 9 / 10, "deadline", "a wait gave up before its time");
  }
}

/// Runs `act` while another thread waits for value 1, and returns what that one receives.
template <typename Act> Status woken(const Semaphore& sema, double wait_s, Act&& act) {
  Status got;
  std::thread waiter([&] { got = outcome([&] { sema.wait(1, to_ns(wait_s)); }); });
  std::this_thread::sleep_for(std::chrono::nanoseconds(k_soon));
  act();
  waiter.join();
  return got;
}

void waking(Trial& trial, Context& context, Device& device) {
  Semaphore one = device.create_semaphore(), two = device.create_semaphore();
  const Status signalled = woken(one, context.settings.wait_s, [&] { one.signal(1); });
  trial.expect(signalled.ok(), "waking", fmt::format("a waiter is not woken by a signal: {}", signalled.message));
  expect_cause(trial, woken(two, context.settings.wait_s, [&] { two.fail(k_cause); }), "a waiter woken by a failure");
}

void failing(Trial& trial, Device& device) {
  Semaphore sema = device.create_semaphore(3);
  sema.fail(k_cause);
  sema.fail({Code::aborted, "a later cause", {}, {}});
  for (int i = 0; i < 2; ++i) { // every waiter has a copy of its own
    expect_cause(trial, outcome([&] { sema.wait(4, k_soon); }), "a waiter");
    expect_cause(trial, outcome([&] { sema.value(); }), "a query");
    expect_cause(trial, outcome([&] { sema.signal(5); }), "a signal");
  }
  trial.expect(outcome([&] { sema.wait(3, 0); }).ok(), "failure", "a value reached before the failure is lost");
}

void many_timelines(Trial& trial, Device& device) {
  std::vector<Semaphore> semas;
  for (int i = 0; i < 300; ++i) semas.push_back(device.create_semaphore(static_cast<std::uint64_t>(i)));
  for (std::size_t i = 0; i < semas.size(); ++i)
    trial.expect(semas[i].value() == i, "value", "timelines share their values");
}

// ---- submits -------------------------------------------------------------------------------------------------------

/// A claimed case on the device, ready to be submitted.
struct Job {
  Job(Trial& trial, Context& context, const std::string& id)
      : device(context.device(id)), test(claimed_case(*device, *context.host())) {
    if (test == nullptr) trial.skip("the device claims no case of any op");
    transfer.emplace(device, context.settings.wait_s);
    piece.emplace(*transfer, *context.host(), *test);
    piece->reset();
    expected = ops::run_kernel(*reference::find_kernel(test->op), *test);
    wait_ns = to_ns(context.settings.wait_s);
  }
  std::optional<std::string> mismatch() {
    return ops::find_mismatch(*test, expected, piece->outputs(), reference::reference_kernels());
  }
  void expect_right(Trial& trial) {
    if (const auto wrong = mismatch()) trial.fail("result", *wrong);
  }

  std::shared_ptr<Device> device;
  const ops::Case* test;
  std::optional<Transfer> transfer;
  std::optional<Workpiece> piece;
  ops::Outputs expected;
  std::uint64_t wait_ns = 0;
};

void waits_and_signals(Trial& trial, Job& job) {
  Semaphore before = job.device->create_semaphore(), after = job.device->create_semaphore(),
            also = job.device->create_semaphore(10);
  const scf_wait wait = before.at(1);
  const scf_wait signals[] = {after.at(1), also.at(20)};
  std::thread host([&] { // a submit may block until its waits are met (T3)
    std::this_thread::sleep_for(std::chrono::nanoseconds(k_soon));
    before.signal(1);
  });
  const Status status = outcome([&] { job.piece->submit({&wait, 1}, signals); });
  host.join();
  if (!status.ok()) trial.stop("submit", "a submit that waits for the host fails: " + status.message);
  after.wait(1, job.wait_ns);
  also.wait(20, job.wait_ns);
  job.expect_right(trial);
}

void in_order(Trial& trial, Job& job) {
  constexpr std::uint64_t k_submits = 100;
  Semaphore line = job.device->create_semaphore();
  for (std::uint64_t i = 0; i < k_submits; ++i) {
    const scf_wait wait = line.at(i), signal = line.at(i + 1);
    job.piece->submit({&wait, 1}, {&signal, 1});
  }
  line.wait(k_submits, job.wait_ns);
  trial.expect(line.value() == k_submits, "order", "the timeline is beyond the last submit");
  job.expect_right(trial);
}

/// Submits behind an open wait. A device that says it is asynchronous takes them all before the host signals (T3).
void open_wait(Trial& trial, Job& job) {
  if (!job.device->info().asynchronous()) trial.skip("the device may block in submit until its waits are met");
  Semaphore before = job.device->create_semaphore(), line = job.device->create_semaphore();
  const scf_wait wait = before.at(1), first = line.at(1), second = line.at(2), third = line.at(3);
  job.piece->submit({&wait, 1}, {&first, 1});
  job.piece->submit({}, {&second, 1}); // in order: behind the one that waits
  job.piece->submit({&second, 1}, {&third, 1});
  trial.expect(outcome([&] { line.wait(1, k_soon); }).code == Code::deadline_exceeded, "order",
               "a submit runs though its wait is not met, or one behind it overtakes it");
  before.signal(1);
  line.wait(3, job.wait_ns);
  job.expect_right(trial);
}

/// A queue that goes has done what it was given.
void last_submits(Trial& trial, Job& job) {
  constexpr std::uint64_t k_submits = 20;
  Semaphore line = job.device->create_semaphore();
  const std::vector<scf_binding> io = job.piece->io();
  const std::vector<scf_dim> dims = job.piece->dims();
  {
    plugins::Queue queue = job.device->create_queue();
    for (std::uint64_t i = 1; i <= k_submits; ++i) {
      const scf_wait signal = line.at(i);
      queue.submit(job.piece->exec(), dims, io, {}, {&signal, 1});
    }
  }
  trial.expect(line.value() == k_submits, "order",
               fmt::format("queue_free returns at submit {} of {}", line.value(), k_submits));
  job.expect_right(trial);
}

/// Two queues signal one timeline in turn; a signal that is not larger fails it.
void shared_timeline(Trial& trial, Job& job) {
  Semaphore line = job.device->create_semaphore();
  plugins::Queue other = job.device->create_queue();
  const std::vector<scf_binding> io = job.piece->io();
  const std::vector<scf_dim> dims = job.piece->dims();
  for (std::uint64_t i = 0; i < 6; ++i) {
    const scf_wait wait = line.at(i), signal = line.at(i + 1);
    plugins::Queue& queue = i % 2 == 0 ? job.piece->queue() : other;
    queue.submit(job.piece->exec(), dims, io, {&wait, 1}, {&signal, 1});
  }
  line.wait(6, job.wait_ns);
  job.expect_right(trial);
  const scf_wait again = line.at(6);
  (void)outcome([&] { job.piece->submit({}, {&again, 1}); });
  const Status status = outcome([&] { line.wait(7, job.wait_ns); });
  trial.expect(status.code == Code::invalid_argument, "value",
               fmt::format("after a signal that is not larger the timeline gives {}, not invalid_argument",
                           code_name(status.code)));
}

/// A failed wait is no error of the submit: its signals carry the cause and nothing is computed (F3).
void failed_wait(Trial& trial, Job& job) {
  Semaphore before = job.device->create_semaphore(), after = job.device->create_semaphore();
  before.fail(k_cause);
  const scf_wait wait = before.at(1), signal = after.at(1);
  const Status status = outcome([&] { job.piece->submit({&wait, 1}, {&signal, 1}); });
  trial.expect(status.ok(), "failure",
               fmt::format("submit returns the failure of its wait ({}): the signals carry it", status.message));
  expect_cause(trial, outcome([&] { after.wait(1, job.wait_ns); }), "the signal of a submit whose wait failed");
  trial.expect(job.mismatch().has_value(), "failure", "a submit computes though its wait failed");
  job.piece->reset();
  job.piece->run(); // the queue is not harmed
  job.expect_right(trial);
}

/// A submit that cannot run: an error now or by its signals, which fail either way.
void refused(Trial& trial, Job& job, std::span<const scf_dim> dims, std::span<const scf_binding> io,
             std::string_view what) {
  Semaphore after = job.device->create_semaphore();
  const scf_wait signal = after.at(1);
  const Status status = outcome([&] { job.piece->queue().submit(job.piece->exec(), dims, io, {}, {&signal, 1}); });
  const Status carried = outcome([&] { after.wait(1, job.wait_ns); });
  if (carried.code == Code::deadline_exceeded)
    trial.stop("hang", fmt::format("the signal of a submit {} neither comes nor fails", what));
  trial.expect(!carried.ok(), "arguments", fmt::format("a submit {} runs", what));
  if (!status.ok())
    trial.expect(carried.code == status.code, "failure",
                 fmt::format("a submit {} is {}, and its signal fails with {}", what, code_name(status.code),
                             code_name(carried.code)));
}

void wrong_submits(Trial& trial, Job& job) {
  const std::vector<scf_binding> io = job.piece->io();
  const std::vector<scf_dim> dims = job.piece->dims();
  refused(trial, job, dims, std::span(io).first(io.size() - 1), "without one of its operands");
  std::vector<scf_binding> shorter = io;
  shorter.back().slice.bytes /= 2;
  refused(trial, job, dims, shorter, "with an operand that is too small");
  std::vector<scf_binding> outside = io;
  outside.front().slice.offset = 1ull << 40;
  refused(trial, job, dims, outside, "with a slice outside its buffer");
  const bool symbolic = std::any_of(job.test->inputs.begin(), job.test->inputs.end(), [](const ops::CaseValue& value) {
    return std::any_of(value.type.dims.begin(), value.type.dims.end(), [](const ops::Dim& d) { return d.sym != 0; });
  });
  if (symbolic) {
    refused(trial, job, {}, io, "without the value of a symbol");
    std::vector<scf_dim> beyond = dims;
    beyond.front().value += 1000;
    refused(trial, job, beyond, io, "with a symbol beyond its maximum");
  }
  job.piece->reset();
  job.piece->run();
  job.expect_right(trial);
}

void wrong_bindings(Trial& trial, Job& job) {
  std::vector<scf_binding> fixed = job.piece->fixed();
  if (fixed.empty()) trial.skip(fmt::format("{} has neither weights nor states", job.test->op));
  const auto refuse = [&](std::span<const scf_binding> items, std::string_view what) {
    const Status status = outcome([&] { job.piece->program().instantiate(items, job.piece->needs()); });
    trial.expect(!status.ok(), "arguments", fmt::format("instantiate {} is taken", what));
  };
  refuse(std::span(fixed).first(fixed.size() - 1), "without one of the weights");
  fixed.back().slice.bytes /= 2;
  refuse(fixed, "with a weight that is too small");
}

void two_queues(Trial& trial, Context& context, const std::string& id) {
  Job one(trial, context, id), two(trial, context, id);
  constexpr std::uint64_t k_submits = 30;
  Semaphore line_one = one.device->create_semaphore(), line_two = one.device->create_semaphore();
  Status status_one, status_two;
  const auto work = [&](Job& job, Semaphore& line, Status& status) {
    status = outcome([&] {
      for (std::uint64_t i = 0; i < k_submits; ++i) {
        const scf_wait signal = line.at(i + 1);
        job.piece->submit({}, {&signal, 1});
      }
      line.wait(k_submits, job.wait_ns);
    });
  };
  std::thread other([&] { work(two, line_two, status_two); });
  work(one, line_one, status_one);
  other.join();
  trial.expect(status_one.ok() && status_two.ok(), "queues",
               fmt::format("two queues in two threads: {}{}", status_one.message, status_two.message));
  one.expect_right(trial);
  two.expect_right(trial);

  const scf_wait first = line_one.at(k_submits + 1), then = line_two.at(k_submits + 1); // across queues
  one.piece->submit({}, {&first, 1});
  two.piece->submit({&first, 1}, {&then, 1});
  line_two.wait(k_submits + 1, two.wait_ns);
}

} // namespace

std::vector<Test> queue_tests(const Target& target) {
  std::vector<Test> tests;
  const std::string id = target.id;
  const auto add = [&](const std::string& name, std::string title, std::function<void(Trial&, Context&)> body) {
    tests.push_back({fmt::format("L3:{}{}", name, target.suffix), std::move(title), std::move(body)});
  };
  const auto device = [&](auto body) {
    return [id, body](Trial& trial, Context& context) { body(trial, *context.device(id)); };
  };
  const auto job = [&](auto body) {
    return [id, body](Trial& trial, Context& context) {
      Job made(trial, context, id);
      body(trial, made);
    };
  };
  add("timeline:counts", "values grow and are reached", device(counting));
  add("timeline:deadlines", "waits end in time", device(deadlines));
  add("timeline:wakes", "waiters in other threads are woken",
      [id](Trial& trial, Context& context) { waking(trial, context, *context.device(id)); });
  add("timeline:fails", "the first cause reaches everyone", device(failing));
  add("timeline:many", "hundreds of timelines", device(many_timelines));
  add("submit:waits", "a submit waits for the host and signals twice", job(waits_and_signals));
  add("submit:order", "a hundred submits in a row", job(in_order));
  add("submit:open-wait", "submits behind a wait that is open", job(open_wait));
  add("submit:last", "a queue that goes has done its work", job(last_submits));
  add("submit:shared-timeline", "two queues, one timeline", job(shared_timeline));
  add("submit:failed-wait", "a failed wait travels on", job(failed_wait));
  add("submit:arguments", "submits that cannot run fail, and their signals with them", job(wrong_submits));
  add("submit:bindings", "weights that are missing or too small are refused", job(wrong_bindings));
  add("submit:two-queues", "two queues, two threads",
      [id](Trial& trial, Context& context) { two_queues(trial, context, id); });
  return tests;
}

} // namespace seacliff::conform
