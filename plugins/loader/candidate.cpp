#include "plugins/loader/candidate.hpp"

#include "plugins/loader/elf.hpp"

#include <seacliff/sdk/table.hpp>

#include <boost/dll/shared_library.hpp>

#include <algorithm>
#include <charconv>
#include <set>

namespace seacliff::plugins {
namespace fs = std::filesystem;
namespace {

constexpr const char* k_entry = "scf_plugin_query_v1";

std::string short_text(scf_str s) {
  constexpr std::uint64_t k_longest = 256;
  return s.ptr == nullptr ? std::string() : std::string(s.ptr, std::min(s.len, k_longest));
}

void reject(Candidate& candidate, VerdictStatus status, std::string reason) {
  candidate.verdict.status = status;
  candidate.verdict.reason = std::move(reason);
}

/// "1.0" or "0.9 to 1.0"
std::string range(std::uint32_t min, std::uint32_t max) {
  return min == max ? abi_version(min) : fmt::format("{} to {}", abi_version(min), abi_version(max));
}

bool has_library_name(const fs::path& path) { return path.extension() == ".so"; }

/// The manifest of a directory that names this library.
std::optional<Manifest> manifest_of(const fs::path& library) {
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator(library.parent_path(), ec)) {
    if (!is_manifest(entry.path())) continue;
    try {
      Manifest manifest = read_manifest(entry.path());
      if (fs::equivalent(library.parent_path() / manifest.library, library, ec)) return manifest;
    } catch (const Error&) { // not this one's
    }
  }
  return std::nullopt;
}

bool accept_manifest(Candidate& candidate) {
  if (!is_manifest(candidate.path)) {
    candidate.library = candidate.path;
    candidate.manifest = manifest_of(candidate.path);
    if (candidate.manifest) candidate.verdict.name = candidate.manifest->name;
    return true;
  }
  try {
    candidate.manifest = read_manifest(candidate.path);
  } catch (const Error& error) {
    reject(candidate, VerdictStatus::bad_manifest, error.what());
    return false;
  }
  const Manifest& manifest = *candidate.manifest;
  candidate.verdict.name = manifest.name;
  candidate.library = candidate.path.parent_path() / manifest.library;
  if (manifest.minor_max < k_minor_min || manifest.minor_min > k_minor_max) {
    reject(candidate, VerdictStatus::abi_mismatch,
           fmt::format("it is made for ABI {}, this program serves {}", range(manifest.minor_min, manifest.minor_max),
                       range(k_minor_min, k_minor_max)));
    return false;
  }
  std::error_code ec;
  if (!fs::is_regular_file(candidate.library, ec)) {
    reject(candidate, VerdictStatus::missing_library,
           fmt::format("there is no library {}", candidate.library.string()));
    return false;
  }
  return true;
}

std::string_view sanitizer_name(std::uint64_t flags) {
  switch (flags & (SCF_BUILD_ASAN | SCF_BUILD_TSAN)) {
  case 0: return "no sanitizer";
  case SCF_BUILD_ASAN: return "AddressSanitizer";
  case SCF_BUILD_TSAN: return "ThreadSanitizer";
  default: return "several sanitizers";
  }
}

void reject_sanitizer(Candidate& candidate, std::uint64_t plugin_flags, std::uint64_t host_flags) {
  reject(candidate, VerdictStatus::sanitizer_mismatch,
         fmt::format("it is built with {}, this program with {}", sanitizer_name(plugin_flags),
                     sanitizer_name(host_flags)));
}

/// A sanitizer's run time that joins late ends the process, so this comes before loading.
bool accept_sanitizer(Candidate& candidate, std::uint64_t host_flags) {
  std::uint64_t flags = 0;
  for (const std::string& name : needed_libraries(candidate.library)) {
    if (name.starts_with("libasan.so")) flags |= SCF_BUILD_ASAN;
    if (name.starts_with("libtsan.so")) flags |= SCF_BUILD_TSAN;
  }
  if ((flags & ~host_flags) == 0) return true;
  reject_sanitizer(candidate, flags, host_flags);
  return false;
}

/// TEXT of "...(dlerror system message: FILE: TEXT)...".
std::string system_message(std::string_view what, const std::string& file) {
  constexpr std::string_view k_mark = "dlerror system message: ";
  const auto begin = what.find(k_mark);
  if (begin == std::string_view::npos) return std::string(what);
  what.remove_prefix(begin + k_mark.size());
  what = what.substr(0, what.rfind(')'));
  if (what.starts_with(file + ": ")) what.remove_prefix(file.size() + 2);
  return std::string(what);
}

/// Loaded libraries stay: drivers leave threads and exit handlers behind that point into them.
scf_plugin_query_fn load_entry(Candidate& candidate) {
  auto* library = new boost::dll::shared_library; // never freed, see above
  static std::vector<boost::dll::shared_library*>* const keep = new std::vector<boost::dll::shared_library*>;
  keep->push_back(library);
  const fs::path file = fs::absolute(candidate.library);
  try {
    library->load(file, boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local);
  } catch (const std::exception& error) {
    std::string why = system_message(error.what(), file.string());
    if (why.find("__asan_") != std::string::npos || why.find("__tsan_") != std::string::npos) {
      reject(candidate, VerdictStatus::sanitizer_mismatch,
             "it is built with a sanitizer, this program without: " + why);
      return nullptr;
    }
    const bool missing = why.find("cannot open shared object file") != std::string::npos;
    if (missing && candidate.manifest && !candidate.manifest->needs.empty())
      why += fmt::format("; it needs {}", fmt::join(candidate.manifest->needs, ", "));
    reject(candidate, missing ? VerdictStatus::missing_library : VerdictStatus::not_a_library, std::move(why));
    return nullptr;
  }
  if (!library->has(k_entry)) {
    reject(candidate, VerdictStatus::no_entry_symbol, fmt::format("it does not export {}", k_entry));
    return nullptr;
  }
  return &library->get<std::uint32_t(const scf_host*, const scf_plugin**)>(k_entry);
}

void query(Candidate& candidate, scf_plugin_query_fn entry, const scf_host& host) {
  const scf_plugin* answer = nullptr;
  const std::uint32_t code = entry(&host, &answer);
  if (answer == nullptr || answer->h.kind != SCF_KIND_PLUGIN || answer->h.size < sizeof(scf_hdr)) {
    reject(candidate, VerdictStatus::abi_mismatch, fmt::format("{} returns no description", k_entry));
    return;
  }
  const scf_plugin plugin = sdk::read_struct(answer);
  if (!short_text(plugin.name).empty()) candidate.verdict.name = short_text(plugin.name);
  candidate.version = short_text(plugin.version);
  constexpr std::uint64_t k_sanitizers = SCF_BUILD_ASAN | SCF_BUILD_TSAN;
  if (code == SCF_INCOMPATIBLE || plugin.minor < host.minor_min || plugin.minor > host.minor_max) {
    reject(candidate, VerdictStatus::abi_mismatch,
           fmt::format("it speaks ABI {}, this program serves {}", range(plugin.minor, plugin.minor),
                       range(host.minor_min, host.minor_max)));
  } else if (code != SCF_OK) {
    reject(candidate, VerdictStatus::abi_mismatch,
           fmt::format("{} returns {}", k_entry, code_name(static_cast<Code>(code))));
  } else if ((plugin.build_flags & k_sanitizers) != (host.build_flags & k_sanitizers)) {
    reject_sanitizer(candidate, plugin.build_flags, host.build_flags);
  } else {
    candidate.plugin = answer;
  }
}

} // namespace

std::vector<Candidate> candidates_in(const fs::path& place) {
  std::vector<Candidate> found;
  const auto add = [&](const fs::path& path) {
    Candidate candidate;
    candidate.path = path;
    candidate.verdict.path = path.string();
    candidate.verdict.name = path.stem().stem().string();
    found.push_back(std::move(candidate));
  };
  std::error_code ec;
  if (!fs::is_directory(place, ec)) {
    if (fs::exists(place, ec)) add(place);
    return found;
  }
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(place, ec)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::set<fs::path> spoken_for; // libraries that a manifest names
  for (const fs::path& file : files) {
    if (!is_manifest(file)) continue;
    add(file);
    try {
      spoken_for.insert((place / read_manifest(file).library).lexically_normal());
    } catch (const Error&) { // examine() says why
    }
  }
  for (const fs::path& file : files)
    if (has_library_name(file) && !spoken_for.contains(file.lexically_normal())) add(file);
  return found;
}

void examine(Candidate& candidate, const HostServices& host) {
  try {
    if (!accept_manifest(candidate) || !accept_sanitizer(candidate, host.table()->build_flags)) return;
    if (const scf_plugin_query_fn entry = load_entry(candidate)) query(candidate, entry, *host.table());
  } catch (const std::exception& error) {
    reject(candidate, VerdictStatus::open_failed, error.what());
  } catch (...) {
    reject(candidate, VerdictStatus::open_failed, "an exception of unknown type while it was examined");
  }
}

bool newer(std::string_view a, std::string_view b) {
  const auto next = [](std::string_view& rest) {
    unsigned long long number = 0;
    const auto [end, ec] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    const auto dot = rest.find('.');
    rest.remove_prefix(dot == std::string_view::npos ? rest.size() : dot + 1);
    return number;
  };
  while (!a.empty() || !b.empty()) {
    const auto x = next(a), y = next(b);
    if (x != y) return x > y;
  }
  return false;
}

} // namespace seacliff::plugins
