#include "plugins/conformance/raw_plugin.hpp"

#include "plugins/loader/tables.hpp"

#include <seacliff/sdk/table.hpp>

#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

namespace seacliff::conform {
namespace {

scf_str str(std::string_view s) { return {s.data(), s.size()}; }

} // namespace

Library::Library(const std::filesystem::path& file) {
  handle_ = dlopen(std::filesystem::absolute(file).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle_ == nullptr) throw Error(Code::unavailable, dlerror());
  entry_ = reinterpret_cast<scf_plugin_query_fn>(dlsym(handle_, "scf_plugin_query_v1"));
  if (entry_ == nullptr) throw Error(Code::incompatible, "it does not export scf_plugin_query_v1");
}

void Library::close() {
  if (handle_ != nullptr) dlclose(handle_);
  handle_ = nullptr;
}

scf_plugin Library::query(const scf_host& host) const {
  const scf_plugin* answer = nullptr;
  const std::uint32_t code = entry_(&host, &answer);
  if (code != SCF_OK || answer == nullptr)
    throw Error(Code::incompatible,
                fmt::format("scf_plugin_query_v1 returns code {} {}", code,
                            answer == nullptr ? "and no description" : "to a host of its own version"));
  return sdk::read_struct(answer);
}

Guarded::Guarded(std::uint64_t bytes) : bytes_(bytes) {
  const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  const std::uint64_t body = (bytes + page - 1) / page * page;
  mapped_ = body + page;
  void* at = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) throw Error(Code::resource_exhausted, "no memory for a guarded block");
  base_ = static_cast<std::byte*>(at);
  mprotect(base_ + body, page, PROT_NONE);
  data_ = base_ + (body - bytes);
}

Guarded::~Guarded() { munmap(base_, mapped_); }

Instance::Instance(const scf_plugin& plugin, const scf_host& host, const plugins::Options& options)
    : api_(plugins::normalise(plugin).api) {
  const std::vector<scf_kv> pairs = to_pairs(options);
  plugins::check(api_.open(&host, pairs.data(), static_cast<std::uint32_t>(pairs.size()), &handle_), "open");
  if (handle_ == nullptr) throw Error(Code::internal, "open() is no error and gives no instance");
}

Instance::~Instance() {
  if (handle_ != nullptr) plugins::take_status(api_.close(handle_));
}

void Instance::close() { plugins::check(api_.close(std::exchange(handle_, nullptr)), "close"); }

std::vector<SeenDevice> Instance::enumerate() const {
  std::vector<SeenDevice> seen;
  const auto sink = [](void* user, const scf_device_desc* raw) {
    const scf_device_desc desc = sdk::read_struct(raw);
    static_cast<std::vector<SeenDevice>*>(user)->push_back(
        {std::string(desc.id.ptr, desc.id.len), (desc.flags & SCF_DEVICE_USABLE) != 0});
  };
  plugins::check(api_.enumerate(handle_, sink, &seen), "enumerate");
  return seen;
}

void Instance::visit_devices() const {
  for (const SeenDevice& device : enumerate()) {
    if (!device.usable) continue;
    scf_device* handle = nullptr;
    plugins::check(api_.device_open(handle_, str(device.id), nullptr, 0, &handle), "device_open " + device.id);
    plugins::check(api_.device_close(handle), "device_close " + device.id);
  }
}

std::vector<scf_kv> to_pairs(const plugins::Options& options) {
  std::vector<scf_kv> pairs;
  for (const plugins::Option& option : options) {
    scf_kv pair{str(option.key), SCF_KV_STR, 0, {}};
    if (const auto* integer = std::get_if<std::int64_t>(&option.value)) {
      pair.type = SCF_KV_INT;
      pair.v.i = *integer;
    } else if (const auto* real = std::get_if<double>(&option.value)) {
      pair.type = SCF_KV_FLOAT;
      pair.v.f = *real;
    } else {
      pair.v.s = str(std::get<std::string>(option.value));
    }
    pairs.push_back(pair);
  }
  return pairs;
}

} // namespace seacliff::conform
