#include "plugins/loader/host.hpp"

#include "core/base/log.hpp"
#include "core/topology/team.hpp"

#include <functional>
#include <map>
#include <new>

/// What plugins hold a pointer to. Made and freed here only, so it outlives the library that it came from.
struct scf_status {
  seacliff::Status status;
};

namespace seacliff::plugins {
namespace {

std::string_view view_of(scf_str s) { return s.ptr == nullptr ? std::string_view{} : std::string_view{s.ptr, s.len}; }

/// Stands for the error that could not be allocated.
scf_status g_out_of_memory{{Code::resource_exhausted, "out of host memory while reporting an error", "", {}}};

Status::Value detail_value(const scf_kv& kv) {
  if (kv.type == SCF_KV_INT) return kv.v.i;
  if (kv.type == SCF_KV_FLOAT) return kv.v.f;
  return std::string(view_of(kv.v.s));
}

Code known_code(std::uint32_t code) {
  return code >= SCF_CANCELLED && code <= SCF_DOES_NOT_FIT ? static_cast<Code>(code) : Code::unknown;
}

scf_status* host_status(void*, std::uint32_t code, scf_str message, const scf_kv* pairs, std::uint32_t count) {
  try {
    Status made{known_code(code), std::string(view_of(message)), {}, {}};
    for (std::uint32_t i = 0; i < count; ++i) {
      if (view_of(pairs[i].key) == "mend" && pairs[i].type == SCF_KV_STR)
        made.mend = std::string(view_of(pairs[i].v.s));
      else
        made.details.emplace_back(std::string(view_of(pairs[i].key)), detail_value(pairs[i]));
    }
    return make_status(made);
  } catch (const std::bad_alloc&) {
    return &g_out_of_memory;
  }
}

void host_status_free(void*, scf_status* status) {
  if (status != &g_out_of_memory) delete status;
}

std::uint32_t host_status_code(void*, const scf_status* status) {
  return status == nullptr ? std::uint32_t{SCF_OK} : static_cast<std::uint32_t>(status->status.code);
}

scf_str host_status_message(void*, const scf_status* status) {
  if (status == nullptr) return {};
  return {status->status.message.data(), status->status.message.size()};
}

scf_status* host_status_clone(void*, const scf_status* status) {
  return status == nullptr ? nullptr : make_status(status->status);
}

void host_log(void*, std::uint32_t level, scf_str component, scf_str message) {
  try {
    log::write(level, view_of(component), view_of(message));
  } catch (...) { // a line that cannot be written is no reason to end
  }
}

const void* host_get_ext(void*, scf_str, std::uint32_t) { return nullptr; } // this host offers no extension

std::uint64_t build_flags() {
  std::uint64_t flags = 0;
#if defined(__SANITIZE_ADDRESS__)
  flags |= SCF_BUILD_ASAN;
#endif
#if defined(__SANITIZE_THREAD__)
  flags |= SCF_BUILD_TSAN;
#endif
#if !defined(NDEBUG)
  flags |= SCF_BUILD_DEBUG;
#endif
  return flags;
}

} // namespace

struct HostServices::Impl {
  scf_host table{};
  Team* team = nullptr;
  std::vector<std::string> names; // "scf.matmul"; id = index + 1
  std::map<std::string, std::uint32_t, std::less<>> ids;

  static Impl* of(void* ctx) { return static_cast<Impl*>(ctx); }

  static std::uint32_t op_id(void* ctx, scf_str domain, scf_str name, std::uint32_t version) {
    if (view_of(domain) != "scf" || version != 1) return 0;
    const auto it = of(ctx)->ids.find(view_of(name));
    return it == of(ctx)->ids.end() ? 0 : it->second;
  }

  static scf_str op_name(void* ctx, std::uint32_t id) {
    const auto& names = of(ctx)->names;
    if (id == 0 || id > names.size()) return {};
    return {names[id - 1].data(), names[id - 1].size()};
  }

  static scf_status* team_run(void* ctx, std::uint64_t, void (*fn)(void*, scf_worker*), void* arg) {
    if (Team* team = of(ctx)->team; team == nullptr) {
      scf_worker alone{0, 1, nullptr};
      fn(arg, &alone);
      return nullptr;
    } else {
      try {
        team->run(fn, arg);
        return nullptr;
      } catch (const Error& error) {
        return make_status(error.status());
      } catch (const std::exception& error) {
        return make_status({Code::internal, error.what(), {}, {}});
      }
    }
  }

  static void team_barrier(scf_worker* worker) {
    if (worker->count > 1) Team::barrier(worker);
  }

  static std::uint32_t team_size(void* ctx, std::uint64_t) {
    return of(ctx)->team == nullptr ? 1 : of(ctx)->team->size();
  }
};

std::string abi_version(std::uint32_t minor) {
  return minor < k_minor_min ? fmt::format("0.{}", minor) : fmt::format("1.{}", minor - k_minor_min);
}

HostServices::HostServices(Team* team, std::vector<std::string> op_names) : impl_(std::make_unique<Impl>()) {
  impl_->team = team;
  for (const std::string& name : op_names) {
    impl_->names.push_back("scf." + name);
    impl_->ids.emplace(name, static_cast<std::uint32_t>(impl_->names.size()));
  }
  scf_host& table = impl_->table;
  table.h = {sizeof(scf_host), SCF_KIND_HOST, nullptr};
  table.minor_min = k_minor_min;
  table.minor_max = k_minor_max;
  table.build_flags = build_flags();
  table.ctx = impl_.get();
  table.status = host_status;
  table.status_free = host_status_free;
  table.status_code = host_status_code;
  table.status_message = host_status_message;
  table.status_clone = host_status_clone;
  table.log = host_log;
  table.log_level = log::level_address();
  table.op_id = Impl::op_id;
  table.op_name = Impl::op_name;
  table.team_run = Impl::team_run;
  table.team_barrier = Impl::team_barrier;
  table.team_size = Impl::team_size;
  table.get_ext = host_get_ext;
}

HostServices::~HostServices() = default;

const scf_host* HostServices::table() const { return &impl_->table; }

std::uint32_t HostServices::op_id(std::string_view name) const {
  const auto it = impl_->ids.find(name);
  return it == impl_->ids.end() ? 0 : it->second;
}

std::uint32_t HostServices::team_size() const { return Impl::team_size(impl_.get(), 0); }

Status take_status(scf_status* status) {
  if (status == nullptr) return {};
  Status taken = status == &g_out_of_memory ? status->status : std::move(status->status);
  host_status_free(nullptr, status);
  return taken;
}

void check(scf_status* status, std::string_view what) {
  if (status == nullptr) return;
  Status taken = take_status(status);
  taken.message = fmt::format("{}: {}", what, taken.message);
  throw Error(std::move(taken));
}

scf_status* make_status(const Status& status) {
  try {
    return new scf_status{status};
  } catch (const std::bad_alloc&) {
    return &g_out_of_memory;
  }
}

} // namespace seacliff::plugins
