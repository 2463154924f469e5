// L0: the file, loading, the query, open and close: nothing is left behind, nothing is done in passing.
#include "plugins/conformance/context.hpp"
#include "plugins/conformance/levels.hpp"
#include "plugins/conformance/process_state.hpp"
#include "plugins/conformance/raw_plugin.hpp"
#include "plugins/loader/elf.hpp"
#include "plugins/loader/manifest.hpp"
#include "plugins/loader/tables.hpp"

#include <seacliff/sdk/table.hpp>

#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <dlfcn.h>
#include <optional>
#include <thread>

namespace seacliff::conform {
namespace {

namespace fs = std::filesystem;
using plugins::abi_version;
using plugins::HostServices;

constexpr std::string_view k_entry = "scf_plugin_query_v1";
constexpr int k_rounds = 100;

// ---- the file ----------------------------------------------------------------------------------------------------

void exports(Trial& trial, Context& context) {
  const auto symbols = plugins::exported_symbols(context.settings.library);
  if (!symbols) trial.skip("the file has no table of sections");
  std::vector<std::string> others;
  bool entry = false;
  for (const std::string& symbol : *symbols) {
    if (symbol == k_entry)
      entry = true;
    else
      others.push_back(symbol);
  }
  trial.expect(entry, "exports", "the file does not export scf_plugin_query_v1");
  if (others.empty()) return;
  const std::size_t count = others.size();
  others.resize(std::min<std::size_t>(count, 5));
  trial.fail("exports", fmt::format("the file exports {} other symbols, among them {}; link with "
                                    "-fvisibility=hidden and a version script",
                                    count, fmt::join(others, ", ")));
}

void manifest(Trial& trial, Context& context) {
  if (context.settings.manifest.empty()) trial.skip("there is no manifest beside the library");
  const plugins::Manifest said = plugins::read_manifest(context.settings.manifest);
  const HostServices services(nullptr, op_names());
  const Library library(context.settings.library);
  const scf_plugin plugin = library.query(*services.table());
  const std::string name(plugin.name.ptr, plugin.name.len);
  trial.expect(said.name == name, "manifest", fmt::format("the manifest says '{}', the plugin '{}'", said.name, name));
  trial.expect(said.minor_min <= plugin.minor && plugin.minor <= said.minor_max, "manifest",
               fmt::format("the plugin speaks ABI {}, the manifest says {} to {}", abi_version(plugin.minor),
                           abi_version(said.minor_min), abi_version(said.minor_max)));
}

// ---- loading and the query -----------------------------------------------------------------------------------------

void loading_is_pure(Trial& trial, Context& context) {
  const ProcessState before = ProcessState::now();
  const Library library(context.settings.library);
  compare(trial, before, ProcessState::now(), "loading the library");
}

void query_is_pure(Trial& trial, Context& context) {
  const HostServices services(nullptr, op_names());
  const Library library(context.settings.library);
  const ProcessState before = ProcessState::now();
  library.query(*services.table());
  compare(trial, before, ProcessState::now(), "scf_plugin_query_v1");
}

void query_describes(Trial& trial, Context& context) {
  const HostServices services(nullptr, op_names());
  const Library library(context.settings.library);
  const scf_plugin plugin = library.query(*services.table());
  trial.expect(plugin.h.kind == SCF_KIND_PLUGIN, "description", "the description has a wrong kind");
  trial.expect(plugin.name.ptr != nullptr && plugin.name.len != 0, "description", "the plugin has no name");
  trial.expect(plugin.version.ptr != nullptr && plugin.version.len != 0, "description", "the plugin has no version");
  plugins::normalise(plugin); // throws what is missing
}

void query_repeats(Trial& trial, Context& context) {
  const HostServices services(nullptr, op_names());
  const Library library(context.settings.library);
  const scf_plugin* first = nullptr;
  library.entry()(services.table(), &first);
  std::atomic<int> other{0};
  std::vector<std::thread> callers;
  for (int t = 0; t < 4; ++t)
    callers.emplace_back([&] {
      for (int i = 0; i < k_rounds; ++i) {
        const scf_plugin* again = nullptr;
        if (library.entry()(services.table(), &again) != SCF_OK || again != first) ++other;
      }
    });
  for (std::thread& caller : callers) caller.join();
  trial.expect(other == 0, "repeat",
               fmt::format("{} of {} queries from four threads gave another answer", other.load(), 4 * k_rounds));
}

void query_refuses(Trial& trial, Context& context) {
  const HostServices services(nullptr, op_names());
  const Library library(context.settings.library);
  struct Range {
    std::uint32_t min, max;
    bool fits;
  };
  const std::uint32_t own = library.query(*services.table()).minor;
  for (const Range& range :
       {Range{own + 1, own + 5, false}, {0, own - 1, false}, {0, own, true}, {own, own + 100, true}}) {
    scf_host host = *services.table();
    host.minor_min = range.min;
    host.minor_max = range.max;
    const scf_plugin* answer = nullptr;
    const std::uint32_t code = library.entry()(&host, &answer);
    const std::uint32_t expected = range.fits ? SCF_OK : SCF_INCOMPATIBLE;
    trial.expect(code == expected, "range",
                 fmt::format("a host that serves {} to {} gets code {} from a plugin that speaks {}, not {}",
                             abi_version(range.min), abi_version(range.max), code, abi_version(own), expected));
    trial.expect(answer != nullptr, "range", "a host that it cannot serve gets no description: nobody can say why");
  }
}

// ---- open and close ------------------------------------------------------------------------------------------------

void one_round(const scf_plugin& plugin, const scf_host& host, const plugins::Options& options) {
  Instance instance(plugin, host, options);
  instance.visit_devices();
  instance.close();
}

void open_leaves_nothing(Trial& trial, Context& context) {
  const HostServices services(nullptr, op_names());
  const Library library(context.settings.library);
  const scf_plugin plugin = library.query(*services.table());
  const ProcessState before = ProcessState::now();
  one_round(plugin, *services.table(), context.settings.options);
  const ProcessState after = ProcessState::now();
  // A driver that stays loaded may keep the files of its devices, the same ones however often it is asked.
  ProcessState rest = after;
  std::erase_if(rest.descriptors, [&](const std::string& file) {
    return file.starts_with("/dev/") && !std::binary_search(before.descriptors.begin(), before.descriptors.end(), file);
  });
  compare(trial, before, rest, "open() to close()");
  if (rest.descriptors.size() == after.descriptors.size()) return;
  one_round(plugin, *services.table(), context.settings.options);
  compare(trial, after, ProcessState::now(), "opening and closing again");
  trial.note(fmt::format("{} device files stay open", after.descriptors.size() - rest.descriptors.size()));
}

/// Drivers behind a plugin have caches that grow for a while; what a leak leaves grows for ever. So what the first
/// rounds leave behind is forgiven when later ones leave nothing.
void open_many_times(Trial& trial, Context& context) {
  constexpr int k_warm_up = 10, k_chances = 3, k_least = 10;
  constexpr std::uint64_t k_allowed = 64; // bytes per round: less is noise of the allocator
  const HostServices services(nullptr, op_names());
  const Library library(context.settings.library);
  const scf_plugin plugin = library.query(*services.table());
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < k_warm_up; ++i) one_round(plugin, *services.table(), context.settings.options);
  // Some drivers take most of a second to open a device: as many rounds as the time allows.
  const double each = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / k_warm_up;
  const double fit = context.settings.limit_s / (k_chances + 2) / std::max(each, 1e-6);
  const int rounds = static_cast<int>(std::clamp(fit, double{k_least}, double{k_rounds}));
  std::uint64_t left = 0;
  for (int chance = 0; chance < k_chances; ++chance) {
    const ProcessState before = ProcessState::now();
    const std::uint64_t bytes_before = allocated_bytes();
    for (int i = 0; i < rounds; ++i) one_round(plugin, *services.table(), context.settings.options);
    const std::uint64_t bytes = allocated_bytes();
    compare(trial, before, ProcessState::now(), fmt::format("opening and closing {} times", rounds));
    if (bytes <= bytes_before + static_cast<std::uint64_t>(rounds) * k_allowed) return;
    left = bytes - bytes_before;
  }
  trial.fail("memory",
             fmt::format("opening and closing {} times leaves {} bytes of memory behind, every time", rounds, left));
}

void unknown_option(Trial& trial, Context& context) {
  const HostServices services(nullptr, op_names());
  const Library library(context.settings.library);
  const scf_plugin plugin = library.query(*services.table());
  plugins::Options options = context.settings.options;
  options.push_back({"an-option-that-nobody-knows", std::int64_t{1}});
  try {
    const Instance instance(plugin, *services.table(), options);
    trial.fail("options", "open() takes an option that it does not know: a flag that does nothing");
  } catch (const Error& error) {
    trial.expect(error.code() == Code::invalid_argument, "options",
                 fmt::format("an unknown option is {}, not invalid_argument", code_name(error.code())));
  }
}

void unloads(Trial& trial, Context& context) {
  const HostServices services(nullptr, op_names());
  const std::string file = fs::canonical(context.settings.library).string();
  for (int round = 0; round < 3; ++round) {
    Library library(context.settings.library);
    one_round(library.query(*services.table()), *services.table(), context.settings.options);
    library.close();
    if (is_mapped(file))
      trial.stop("unload", "the library stays in memory after dlclose (a STB_GNU_UNIQUE symbol, "
                           "a thread_local with a destructor, or -z nodelete)");
  }
}

/// Two files with the same contents are two libraries.
void loads_twice(Trial& trial, Context& context) {
  const HostServices services(nullptr, op_names());
  const fs::path copy = fs::temp_directory_path() / fmt::format("seacliff-conform-{}.so", getpid());
  fs::copy_file(context.settings.library, copy, fs::copy_options::overwrite_existing);
  std::optional<Library> second;
  try {
    const Library first(context.settings.library);
    second.emplace(copy);
    fs::remove(copy);
    const scf_plugin a = first.query(*services.table()), b = second->query(*services.table());
    if (a.api == b.api) trial.stop("duplicate", "two copies of the library share their tables: symbols are visible");
    Instance one(a, *services.table(), context.settings.options), two(b, *services.table(), context.settings.options);
    one.visit_devices();
    two.visit_devices();
    two.close();
    one.visit_devices();
    one.close();
  } catch (...) {
    std::error_code ec;
    fs::remove(copy, ec);
    throw;
  }
}

} // namespace

std::vector<Test> load_tests() {
  return {
      {"L0:file:exports", "one exported symbol", exports},
      {"L0:file:manifest", "the manifest agrees with the plugin", manifest},
      {"L0:load:pure", "dlopen does nothing in passing", loading_is_pure},
      {"L0:query:pure", "the query does nothing in passing", query_is_pure},
      {"L0:query:describes", "name, version and complete tables", query_describes},
      {"L0:query:repeats", "the same answer every time, from any thread", query_repeats},
      {"L0:query:ranges", "hosts of other versions get INCOMPATIBLE and a description", query_refuses},
      {"L0:open:clean", "open to close leaves nothing behind", open_leaves_nothing},
      {"L0:open:many", "opening and closing 100 times leaves nothing behind", open_many_times},
      {"L0:open:unknown-option", "an unknown option is refused", unknown_option},
      {"L0:unload:gone", "dlclose unloads, three times", unloads},
      {"L0:unload:twice", "two copies of the library live side by side", loads_twice},
  };
}

} // namespace seacliff::conform
