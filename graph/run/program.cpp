#include "graph/run/program.hpp"

#include "core/base/log.hpp"
#include "graph/ir/view.hpp"

#include <seacliff/sdk/scratch.hpp>

#include <algorithm>
#include <chrono>
#include <optional>

namespace seacliff::graph {
namespace {

constexpr std::uint64_t k_io_align = 64;

std::uint64_t now_ns() { // CLOCK_MONOTONIC, as in the ABI
  using namespace std::chrono;
  return static_cast<std::uint64_t>(duration_cast<nanoseconds>(steady_clock::now().time_since_epoch()).count());
}

} // namespace

SharedMemory::SharedMemory(std::span<const std::shared_ptr<plugins::Device>> devices, const std::byte* data,
                           std::uint64_t bytes, bool read_only) {
  for (const auto& device : devices) {
    std::optional<plugins::Buffer> buffer = device->import_host(data, bytes, read_only);
    if (!buffer)
      throw Error(Code::unimplemented, fmt::format("device {} cannot use host memory in place", device->full_id()),
                  "choose another one with --backend");
    buffers_.push_back(std::move(*buffer));
  }
}

StepProgram::StepProgram(const Graph& graph, PlaceOptions options) : options_(std::move(options)) {
  constexpr int k_max_strikes = 64;
  for (int strikes = 0;; ++strikes) {
    placement_ = place(graph, options_);
    try {
      compile();
      break;
    } catch (const Error& error) {
      const auto& details = error.status().details;
      const auto node = std::find_if(details.begin(), details.end(), [](const auto& d) { return d.first == "node"; });
      const bool strike = error.code() == Code::unimplemented && node != details.end() && strikes < k_max_strikes;
      if (!strike || !std::holds_alternative<std::string>(node->second)) throw;
      const auto device =
          std::find_if(details.begin(), details.end(), [](const auto& d) { return d.first == "device"; });
      const auto& name = std::get<std::string>(node->second);
      const std::string where = device == details.end() ? std::string() : std::get<std::string>(device->second);
      log::warn("place", "{} claimed {} and will not compile it: {}", where, name, error.status().message);
      if (!options_.strikes.insert({name, where}).second) throw;
    }
  }
  plan_io();
  for (const auto& device : options_.devices) lanes_.push_back({device->create_queue(), device->create_semaphore(), 0});
}

void StepProgram::compile() {
  parts_.clear();
  scratch_bytes_ = 0;
  for (const Segment& segment : placement_.segments) {
    const AbiView view(placement_.graph, segment.nodes, options_.op_id);
    Part part;
    part.device = segment.device;
    plugins::Device& device = *options_.devices[segment.device];
    try {
      part.program = device.compile(*view.get());
    } catch (const Error& error) {
      Status status = error.status();
      for (auto& [key, value] : status.details) {
        if (key != "node" || !std::holds_alternative<std::int64_t>(value)) continue;
        const auto index = static_cast<std::size_t>(std::get<std::int64_t>(value));
        if (index < segment.nodes.size()) value = placement_.graph.nodes()[segment.nodes[index]].name;
      }
      status.details.emplace_back("device", device.full_id());
      throw Error(std::move(status));
    }
    const plugins::Requirements needs = part.program->requirements();
    scratch_bytes_ = std::max(scratch_bytes_, needs.scratch_bytes);
    part.launches = needs.launches;
    part.barriers = needs.barriers;
    for (std::uint32_t v = 0; v < view.value_count(); ++v) {
      const Role role = view.role(v);
      if (role == Role::temp) continue;
      const bool resident = role == Role::weight || role == Role::state;
      (resident ? part.resident : part.io).emplace_back(v, view.graph_value(v));
    }
    parts_.push_back(std::move(part));
  }
}

void StepProgram::plan_io() {
  std::map<ValueId, std::size_t> block_of;
  std::vector<sdk::Lifetime> blocks;
  const auto last = static_cast<std::uint32_t>(parts_.size());
  for (std::uint32_t p = 0; p < parts_.size(); ++p) {
    for (const auto& [view_value, id] : parts_[p].io) {
      const Value& value = placement_.graph.value(id);
      const auto [it, fresh] = block_of.emplace(id, blocks.size());
      if (fresh) blocks.push_back({value.type.max_bytes(), p, p, 0});
      blocks[it->second].last = p;
      if (value.role == Role::temp) continue; // lives from its producer to its last reader
      blocks[it->second].first = 0;
      blocks[it->second].last = last;
    }
  }
  io_bytes_ = sdk::plan_scratch(blocks, k_io_align);
  for (const auto& [id, block] : block_of) {
    io_at_[id] = {blocks[block].offset, blocks[block].bytes};
    if (placement_.graph.value(id).role != Role::temp) io_names_[placement_.graph.value(id).name] = id;
  }
}

void StepProgram::bind(const std::function<Resident(const Value&)>& resident, const SharedMemory& io,
                       std::byte* io_data, const SharedMemory& scratch) {
  io_data_ = io_data;
  for (Part& part : parts_) {
    std::vector<scf_binding> bindings;
    for (const auto& [view_value, id] : part.resident) {
      const Resident at = resident(placement_.graph.value(id));
      bindings.push_back({view_value, 0, at.memory->slice(part.device, at.offset, at.bytes)});
    }
    const std::uint64_t need = part.program->requirements().scratch_bytes;
    part.exec = part.program->instantiate(bindings, need == 0 ? scf_slice{} : scratch.slice(part.device, 0, need));
    part.io_bindings.clear();
    for (const auto& [view_value, id] : part.io) {
      const auto [offset, bytes] = io_at_.at(id);
      part.io_bindings.push_back({view_value, 0, io.slice(part.device, offset, bytes)});
    }
  }
}

std::byte* StepProgram::io(std::string_view value) const {
  const auto it = io_names_.find(value);
  return it == io_names_.end() ? nullptr : io_data_ + io_at_.at(it->second).first;
}

void StepProgram::run_part(std::size_t p, std::span<const scf_dim> symbols, bool wait) {
  Part& part = parts_[p];
  Lane& lane = lanes_[part.device];
  const scf_wait before = lane.done.at(lane.submitted);
  const scf_wait after = lane.done.at(++lane.submitted);
  lane.queue.submit(part.exec, symbols, part.io_bindings, {&before, 1}, {&after, 1});
  // Timelines do not cross plugins: where the device changes, the host waits.
  const bool last = p + 1 == parts_.size();
  if (wait || last || parts_[p + 1].device != part.device) lane.done.wait(lane.submitted);
}

void StepProgram::run(std::span<const scf_dim> symbols) {
  for (std::size_t p = 0; p < parts_.size(); ++p) run_part(p, symbols, false);
}

void StepProgram::run_profiled(std::span<const scf_dim> symbols, Granularity granularity, StepRecord& record) {
  record.graph = &placement_.graph;
  record.devices = placement_.devices;
  record.launches = record.barriers = 0;
  record.spans.clear();
  record.begin_ns = now_ns();
  for (std::uint32_t p = 0; p < parts_.size(); ++p) {
    const Part& part = parts_[p];
    const bool from_here = granularity != Granularity::off && !options_.devices[part.device]->has_profile();
    const std::uint64_t begin = now_ns();
    run_part(p, symbols, from_here);
    if (from_here) record.spans.push_back({p, part.device, 0, placement_.segments[p].nodes, begin, now_ns(), 0});
    record.launches += part.launches;
    record.barriers += part.barriers;
  }
  record.end_ns = now_ns();
  record.lost = 0;
  for (std::uint32_t d = 0; granularity != Granularity::off && d < options_.devices.size(); ++d) drain(d, record);
}

void StepProgram::drain(std::uint32_t d, StepRecord& record) {
  plugins::Device& device = *options_.devices[d];
  if (!device.has_profile()) return;
  const plugins::ClockPair clock = device.profile_correlate();
  const auto host_ns = [&](std::uint64_t ticks) {
    const auto since = static_cast<double>(static_cast<std::int64_t>(ticks - clock.device_ticks));
    return clock.host_ns + static_cast<std::uint64_t>(static_cast<std::int64_t>(since * clock.ns_per_tick));
  };
  bool broken = false;
  record.lost += device.profile_drain([&](scf_exec* exec, const scf_profile_record& r) {
    const auto part = std::find_if(parts_.begin(), parts_.end(),
                                   [&](const Part& candidate) { return candidate.exec.handle() == exec; });
    if (part == parts_.end()) return; // of another program
    const auto p = static_cast<std::uint32_t>(part - parts_.begin());
    const std::span nodes(placement_.segments[p].nodes);
    if (r.n_nodes == 0 || r.first_node >= nodes.size() || r.n_nodes > nodes.size() - r.first_node || r.t1 < r.t0) {
      broken = true;
      return;
    }
    record.spans.push_back(
        {p, d, r.worker, nodes.subspan(r.first_node, r.n_nodes), host_ns(r.t0), host_ns(r.t1), r.bytes});
  });
  if (broken)
    throw Error(Code::internal,
                fmt::format("device {} reports profile records of nodes that it was not given", device.full_id()));
}

} // namespace seacliff::graph
