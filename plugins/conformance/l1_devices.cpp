// L1: what the plugin says about its devices: stable, unique, complete, plausible.
#include "plugins/conformance/context.hpp"
#include "plugins/conformance/levels.hpp"
#include "plugins/conformance/raw_plugin.hpp"
#include "plugins/loader/tables.hpp"

#include <fmt/ranges.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <set>

namespace seacliff::conform {
namespace {

using plugins::DeviceInfo;
using plugins::HeapInfo;

std::string ids_of(const Settings& settings) {
  const plugins::HostServices services(nullptr, op_names());
  const Library library(settings.library);
  Instance instance(library.query(*services.table()), *services.table(), settings.options);
  std::string ids;
  for (const SeenDevice& device : instance.enumerate()) ids += device.id + "\n";
  return ids;
}

/// As another process sees them.
std::string ids_elsewhere(const Settings& settings) {
  int ends[2];
  if (pipe(ends) != 0) throw Error(Code::resource_exhausted, "no pipe");
  const pid_t pid = fork();
  if (pid == 0) {
    const std::string ids = ids_of(settings);
    _exit(write(ends[1], ids.data(), ids.size()) == static_cast<ssize_t>(ids.size()) ? 0 : 1);
  }
  close(ends[1]);
  std::string ids;
  char bytes[4096];
  for (ssize_t n; (n = read(ends[0], bytes, sizeof bytes)) > 0;) ids.append(bytes, static_cast<std::size_t>(n));
  close(ends[0]);
  waitpid(pid, nullptr, 0);
  return ids;
}

void stable(Trial& trial, Context& context) {
  const std::string there = ids_elsewhere(context.settings), here = ids_of(context.settings);
  trial.expect(here == there, "stable", fmt::format("another process sees other devices:\n{}not\n{}", there, here));
  trial.expect(here == ids_of(context.settings), "stable", "a second instance sees other devices");
}

void unique(Trial& trial, Context& context) {
  std::set<std::string> seen;
  for (const DeviceInfo& device : context.plugin()->devices()) {
    trial.expect(!device.id.empty(), "id", "a device has no id");
    trial.expect(seen.insert(device.id).second, "id", fmt::format("two devices are called '{}'", device.id));
    const bool plain = std::all_of(device.id.begin(), device.id.end(),
                                   [](unsigned char c) { return c > 0x20 && c < 0x7f && c != ',' && c != '@'; });
    trial.expect(plain, "id", fmt::format("'{}' cannot be typed in --backend: no blanks, commas or '@'", device.id));
  }
  if (seen.empty()) trial.skip("the plugin sees no device");
}

void described(Trial& trial, Context& context) {
  for (const DeviceInfo& device : context.plugin()->devices()) {
    const auto expect = [&](bool good, std::string_view text) {
      trial.expect(good, "description", fmt::format("{}: {}", device.id, text));
    };
    expect(!device.name.empty(), "it has no name");
    expect(device.kind >= SCF_DEVICE_CPU && device.kind <= SCF_DEVICE_ACCEL, "its kind does not exist");
    expect(device.usable() == device.reason_unusable.empty(),
           device.usable() ? "it is usable and gives a reason why not" : "it is not usable and gives no reason");
    expect(device.reason_unusable != "the plugin gives no reason", "it is not usable and gives no reason");
    expect(device.numa_node >= -1, "its NUMA node is below -1");
    expect(!device.usable() || !device.heaps.empty(), "it is usable and has no heap");
  }
}

void check_heap(Trial& trial, const DeviceInfo& device, const HeapInfo& heap) {
  const auto expect = [&](bool good, std::string_view text) {
    trial.expect(good, "heap", fmt::format("heap {} of {}: {}", heap.id, device.id, text));
  };
  expect(heap.kind == SCF_HEAP_HOST || heap.kind == SCF_HEAP_DEVICE_LOCAL, "its kind does not exist");
  expect(heap.total == 0 || heap.budget <= heap.total, "its budget is larger than its total");
  expect(heap.total == 0 || heap.max_alloc <= heap.total, "its largest allocation is larger than its total");
  expect(heap.max_alloc == 0 || heap.max_binding <= heap.max_alloc, "its largest binding is larger than an allocation");
  expect(std::has_single_bit(heap.bind_align), "bind_align is no power of two");
  expect(std::has_single_bit(heap.import_align), "import_align is no power of two");
  expect(heap.numa_node >= -1, "its NUMA node is below -1");
  expect(heap.read_gbps >= 0 && heap.read_gbps < 1e6, "its bandwidth is no number of GB/s");
}

void heaps(Trial& trial, Context& context) {
  for (const DeviceInfo& device : context.plugin()->devices()) {
    std::set<std::uint32_t> ids;
    for (const HeapInfo& heap : device.heaps) {
      trial.expect(ids.insert(heap.id).second, "heap", fmt::format("{} has two heaps {}", device.id, heap.id));
      check_heap(trial, device, heap);
    }
    if (!device.usable()) continue;
    const auto& opened = context.device(device.id);
    const plugins::Tables& tables = opened->tables();
    trial.expect(
        (device.own_heap().mappable() && tables.memory.map != nullptr) || tables.queue.copy != nullptr, "heap",
        fmt::format("the first heap of {} cannot be mapped, and there are no copies: no way in or out", device.id));
    for (const HeapInfo& heap : device.heaps) {
      const std::uint64_t now = opened->budget(heap.id);
      trial.expect(heap.total == 0 || now <= heap.total, "heap",
                   fmt::format("budget() of heap {} of {} is more than its total", heap.id, device.id));
    }
  }
}

/// The code that device_open fails with; ok when it opens.
Code opening(Context& context, std::string_view id, const plugins::Options& options) {
  // Past the loader, which refuses ids that were not reported.
  const plugins::HostServices services(nullptr, op_names());
  const Library library(context.settings.library);
  const scf_plugin plugin = library.query(*services.table());
  Instance instance(plugin, *services.table(), context.settings.options);
  const std::vector<scf_kv> pairs = to_pairs(options);
  scf_device* handle = nullptr;
  const Status status = plugins::take_status(instance.api().device_open(
      instance.handle(), {id.data(), id.size()}, pairs.data(), static_cast<std::uint32_t>(pairs.size()), &handle));
  if (status.ok()) plugins::check(instance.api().device_close(handle), "device_close");
  return status.code;
}

/// Two handles of one device: the second lives on when the first goes.
void twice(Trial& trial, Context& context) {
  const plugins::HostServices services(nullptr, op_names());
  const Library library(context.settings.library);
  Instance instance(library.query(*services.table()), *services.table(), context.settings.options);
  const scf_plugin_api& api = instance.api();
  bool any = false;
  for (const SeenDevice& device : instance.enumerate()) {
    if (!device.usable) continue;
    any = true;
    const scf_str id{device.id.data(), device.id.size()};
    scf_device *one = nullptr, *two = nullptr;
    plugins::check(api.device_open(instance.handle(), id, nullptr, 0, &one), "device_open");
    plugins::check(api.device_open(instance.handle(), id, nullptr, 0, &two), "device_open of a device that is open");
    trial.expect(one != two, "open", fmt::format("{} is opened twice and has one handle", device.id));
    if (one == two) continue;
    scf_sema *first = nullptr, *second = nullptr;
    plugins::check(api.queue->sema_create(one, 1, &first), "sema_create");
    plugins::check(api.queue->sema_create(two, 2, &second), "sema_create of the second handle");
    api.queue->sema_free(first);
    plugins::check(api.device_close(one), "device_close");
    std::uint64_t value = 0;
    plugins::check(api.queue->sema_query(second, &value), "sema_query after the other handle is gone");
    trial.expect(value == 2, "open", "a timeline of the second handle lost its value with the first");
    api.queue->sema_free(second);
    plugins::check(api.device_close(two), "device_close of the second handle");
  }
  if (!any) trial.skip("no device is usable");
}

/// Every entry that lets go takes NULL.
void nothing(Trial&, Context& context) {
  const plugins::Tables& t = context.plugin()->tables();
  t.memory.free(nullptr);
  t.program.exec_free(nullptr);
  t.program.program_free(nullptr);
  t.queue.queue_free(nullptr);
  t.queue.sema_free(nullptr);
  plugins::check(t.api.device_close(nullptr), "device_close of nothing");
  plugins::check(t.api.close(nullptr), "close of nothing");
}

void refuses(Trial& trial, Context& context) {
  const Code unknown = opening(context, "no:such:device", {});
  trial.expect(unknown == Code::not_found, "open",
               fmt::format("an id that is not there is {}, not not_found", code_name(unknown)));
  for (const DeviceInfo& device : context.plugin()->devices()) {
    if (!device.usable()) {
      trial.expect(opening(context, device.id, {}) != Code::ok, "open",
                   fmt::format("{} is not usable and opens", device.id));
      continue;
    }
    const Code code = opening(context, device.id, {{"an-option-that-nobody-knows", std::int64_t{1}}});
    trial.expect(code == Code::invalid_argument, "options",
                 fmt::format("device_open of {} says {} to an unknown option, not invalid_argument", device.id,
                             code_name(code)));
  }
}

} // namespace

std::vector<Test> device_tests() {
  return {{"L1:devices:stable", "the same ids in every process and instance", stable},
          {"L1:devices:unique", "ids are unique and can be typed", unique},
          {"L1:devices:described", "names, kinds, reasons", described},
          {"L1:devices:heaps", "heaps are plausible", heaps},
          {"L1:devices:twice", "a device opened twice gives two handles", twice},
          {"L1:devices:nothing", "entries that let go take NULL", nothing},
          {"L1:devices:refused", "unknown ids and options, unusable devices", refuses}};
}

} // namespace seacliff::conform
