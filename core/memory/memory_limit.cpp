#include "core/memory/memory_limit.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

namespace seacliff {
namespace {

namespace fs = std::filesystem;

std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::optional<std::uint64_t> parse_number(std::string_view text, int base = 10) {
  const auto begin = text.find_first_not_of(" \t\n");
  if (begin == std::string_view::npos) return std::nullopt;
  text.remove_prefix(begin);
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> read_number(const fs::path& path, int base = 10) {
  return parse_number(read_text(path), base); // "max" of cgroup v2 is no number: no limit
}

/// Where the process sits in the hierarchy of one controller; `controller` empty: the unified hierarchy of v2.
std::string cgroup_path(const std::string& table, std::string_view controller) {
  std::size_t at = 0;
  while (at < table.size()) {
    const auto line_end = std::min(table.find('\n', at), table.size());
    const std::string_view line = std::string_view(table).substr(at, line_end - at);
    at = line_end + 1;
    const auto first = line.find(':');
    const auto second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    std::string_view names = line.substr(first + 1, second - first - 1);
    bool match = names.empty() && controller.empty();
    while (!names.empty() && !controller.empty()) {
      const auto comma = std::min(names.find(','), names.size());
      match = match || names.substr(0, comma) == controller;
      names.remove_prefix(std::min(comma + 1, names.size()));
    }
    if (match) return std::string(line.substr(second + 1));
  }
  return {};
}

/// The process's directory in a hierarchy mounted at `mount`, then its parents up to the mount. In a container the path
/// of /proc/self/cgroup may be the host's and not exist here: then the mount itself is ours.
std::vector<fs::path> hierarchy(const fs::path& mount, const std::string& path) {
  std::vector<fs::path> directories;
  std::error_code error;
  fs::path relative = fs::path(path).relative_path().lexically_normal();
  while (!relative.empty() && relative != "." && *relative.begin() != "..") {
    if (fs::is_directory(mount / relative, error)) directories.push_back(mount / relative);
    relative = relative.parent_path();
  }
  if (fs::is_directory(mount, error)) directories.push_back(mount);
  return directories;
}

/// Memory blocks that the machine has but has not put online yet, in bytes.
std::uint64_t offline_memory() {
  const fs::path root = "/sys/devices/system/memory";
  const std::uint64_t block = read_number(root / "block_size_bytes", 16).value_or(0);
  std::uint64_t bytes = 0;
  std::error_code error;
  for (fs::directory_iterator it(root, error), end; !error && it != end; it.increment(error)) {
    if (it->path().filename().string().rfind("memory", 0) != 0) continue;
    if (read_text(it->path() / "state").rfind("offline", 0) == 0) bytes += block;
  }
  return bytes;
}

} // namespace

std::optional<std::uint64_t> kernel_kib(std::string_view text, std::string_view key) {
  std::size_t at = 0;
  while (at < text.size()) {
    const auto line_end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, line_end - at);
    at = line_end + 1;
    if (line.size() <= key.size() || line.substr(0, key.size()) != key || line[key.size()] != ':') continue;
    const auto value = parse_number(line.substr(key.size() + 1));
    if (!value) return std::nullopt;
    return *value * 1024;
  }
  return std::nullopt;
}

ProcessMemory parse_process_status(std::string_view text) {
  const auto bytes = [text](std::string_view key) { return kernel_kib(text, key).value_or(0); };
  ProcessMemory memory;
  memory.peak_rss = bytes("VmHWM");
  memory.rss = bytes("VmRSS");
  memory.rss_anon = bytes("RssAnon");
  memory.rss_file = bytes("RssFile");
  memory.rss_shmem = bytes("RssShmem");
  memory.locked = bytes("VmLck");
  memory.swapped = bytes("VmSwap");
  // The kernel updates the peak lazily: it may lag behind the present size.
  memory.peak_rss = std::max(memory.peak_rss, memory.rss);
  return memory;
}

ProcessMemory process_memory() { return parse_process_status(read_text("/proc/self/status")); }

CgroupMemory cgroup_memory(const std::string& root) {
  const fs::path base(root);
  const std::string table = read_text(base / "proc/self/cgroup");
  const fs::path mount = base / "sys/fs/cgroup";
  CgroupMemory result;
  const auto look = [&result](const fs::path& directory, const char* limit_file, const char* usage_file) {
    const auto limit = read_number(directory / limit_file);
    // v1 says "no limit" with a huge number.
    if (!limit || *limit >= std::uint64_t{1} << 60) return;
    const std::uint64_t usage = read_number(directory / usage_file).value_or(0);
    const std::uint64_t headroom = *limit > usage ? *limit - usage : 0;
    result.headroom = result.limit == 0 ? headroom : std::min(result.headroom, headroom);
    result.limit = result.limit == 0 ? *limit : std::min(result.limit, *limit);
  };
  for (const fs::path& unified : {mount, mount / "unified"}) {
    for (const fs::path& directory : hierarchy(unified, cgroup_path(table, ""))) {
      look(directory, "memory.max", "memory.current");
    }
  }
  for (const fs::path& directory : hierarchy(mount / "memory", cgroup_path(table, "memory"))) {
    look(directory, "memory.limit_in_bytes", "memory.usage_in_bytes");
  }
  return result;
}

double cgroup_cpus(const std::string& root) {
  const fs::path base(root);
  const std::string table = read_text(base / "proc/self/cgroup");
  const fs::path mount = base / "sys/fs/cgroup";
  double cpus = 0;
  const auto grant = [&cpus](std::optional<std::uint64_t> quota, std::optional<std::uint64_t> period) {
    if (!quota || !period || *period == 0) return;
    const double share = static_cast<double>(*quota) / static_cast<double>(*period);
    cpus = cpus == 0 ? share : std::min(cpus, share);
  };
  for (const fs::path& directory : hierarchy(mount, cgroup_path(table, ""))) {
    const std::string text = read_text(directory / "cpu.max"); // "QUOTA PERIOD" or "max PERIOD", microseconds
    const auto space = text.find(' ');
    if (space != std::string::npos) grant(parse_number(text), parse_number(std::string_view(text).substr(space)));
  }
  for (const fs::path& directory : hierarchy(mount / "cpu", cgroup_path(table, "cpu"))) {
    grant(read_number(directory / "cpu.cfs_quota_us"), read_number(directory / "cpu.cfs_period_us")); // -1: no quota
  }
  return cpus;
}

MemoryLimit memory_limit() {
  const std::string info = read_text("/proc/meminfo");
  const CgroupMemory cgroup = cgroup_memory();
  MemoryLimit limit;
  limit.machine = kernel_kib(info, "MemTotal").value_or(0) + offline_memory();
  limit.cgroup = cgroup.limit;
  limit.total = limit.machine;
  limit.available = kernel_kib(info, "MemAvailable").value_or(limit.machine);
  if (cgroup.limit != 0) {
    // Without MemTotal (a masked /proc) the cgroup's limit is all that we know.
    limit.total = limit.machine == 0 ? cgroup.limit : std::min(limit.total, cgroup.limit);
    limit.available = limit.available == 0 ? cgroup.headroom : std::min(limit.available, cgroup.headroom);
  }
  return limit;
}

} // namespace seacliff
