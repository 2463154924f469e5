#include "graph/run/program.hpp"

#include "core/base/log.hpp"
#include "graph/ir/view.hpp"

#include <seacliff/sdk/scratch.hpp>

#include <algorithm>
#include <optional>

namespace seacliff::graph {
namespace {

constexpr std::uint64_t k_io_align = 64;

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
    scratch_bytes_ = std::max(scratch_bytes_, part.program->requirements().scratch_bytes);
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

void StepProgram::run(std::span<const scf_dim> symbols) {
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    Part& part = parts_[p];
    Lane& lane = lanes_[part.device];
    const scf_wait before = lane.done.at(lane.submitted);
    const scf_wait after = lane.done.at(++lane.submitted);
    lane.queue.submit(part.exec, symbols, part.io_bindings, {&before, 1}, {&after, 1});
    // Timelines do not cross plugins: where the device changes, the host waits.
    const bool last = p + 1 == parts_.size();
    if (last || parts_[p + 1].device != part.device) lane.done.wait(lane.submitted);
  }
}

} // namespace seacliff::graph
