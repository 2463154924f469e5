#include "plugins/loader/tables.hpp"

#include "core/base/status.hpp"

#include <seacliff/sdk/table.hpp>

namespace seacliff::plugins {
namespace {

[[noreturn]] void broken(std::string_view what) {
  throw Error(Code::incompatible, fmt::format("its function table is broken: {}", what));
}

/// `required` false: an absent table stays zero.
template <typename T> T take(const T* table, std::uint32_t kind, std::string_view name, bool required = true) {
  if (table == nullptr) {
    if (required) broken(fmt::format("there is no table '{}'", name));
    return T{};
  }
  if (table->h.kind != kind || table->h.size < sizeof(scf_hdr))
    broken(fmt::format("table '{}' has a wrong kind or size", name));
  return sdk::read_struct(table);
}

template <typename Fn> void need(Fn* entry, std::string_view name) {
  if (entry == nullptr) broken(fmt::format("required entry '{}' is missing", name));
}

} // namespace

Tables normalise(const scf_plugin& plugin) {
  Tables t;
  t.api = take(plugin.api, SCF_KIND_PLUGIN_API, "api");
  need(t.api.open, "open");
  need(t.api.close, "close");
  need(t.api.enumerate, "enumerate");
  need(t.api.device_open, "device_open");
  need(t.api.device_close, "device_close");

  t.memory = take(t.api.memory, SCF_KIND_MEMORY_API, "memory");
  need(t.memory.alloc, "memory.alloc");
  need(t.memory.free, "memory.free");
  if (t.memory.map != nullptr) need(t.memory.unmap, "memory.unmap");

  t.layout = take(t.api.layout, SCF_KIND_LAYOUT_API, "layout", false);
  if (t.has_layout()) {
    need(t.layout.repack, "layout.repack");
    need(t.layout.unpack, "layout.unpack");
  }

  t.program = take(t.api.program, SCF_KIND_PROGRAM_API, "program");
  need(t.program.propose, "program.propose");
  need(t.program.compile, "program.compile");
  need(t.program.requirements, "program.requirements");
  need(t.program.instantiate, "program.instantiate");
  need(t.program.exec_free, "program.exec_free");
  need(t.program.program_free, "program.program_free");

  t.queue = take(t.api.queue, SCF_KIND_QUEUE_API, "queue");
  need(t.queue.queue_create, "queue.queue_create");
  need(t.queue.queue_free, "queue.queue_free");
  need(t.queue.sema_create, "queue.sema_create");
  need(t.queue.sema_free, "queue.sema_free");
  need(t.queue.sema_query, "queue.sema_query");
  need(t.queue.sema_wait, "queue.sema_wait");
  need(t.queue.sema_signal, "queue.sema_signal");
  need(t.queue.sema_fail, "queue.sema_fail");
  need(t.queue.submit, "queue.submit");

  t.profile = take(t.api.profile, SCF_KIND_PROFILE_API, "profile", false);
  if (t.has_profile()) {
    need(t.profile.drain, "profile.drain");
    need(t.profile.correlate, "profile.correlate");
    need(t.profile.end, "profile.end");
  }
  return t;
}

} // namespace seacliff::plugins
