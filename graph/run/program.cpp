#include "graph/run/program.hpp"

#include "core/base/log.hpp"
#include "graph/ir/view.hpp"

#include <seacliff/sdk/scratch.hpp>

#include <algorithm>
#include <chrono>
#include <set>

namespace seacliff::graph {
namespace {

/// Of values in the memory for inputs and outputs, which looks the same on every device.
std::uint64_t io_align(std::span<const std::shared_ptr<plugins::Device>> devices) {
  std::uint64_t align = 64;
  for (const auto& device : devices)
    for (const plugins::HeapInfo& heap : device->info().heaps) align = std::max(align, heap.bind_align);
  return align;
}

std::uint64_t now_ns() { // CLOCK_MONOTONIC, as in the ABI
  using namespace std::chrono;
  return static_cast<std::uint64_t>(duration_cast<nanoseconds>(steady_clock::now().time_since_epoch()).count());
}

} // namespace

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
  for (const Segment& segment : placement_.segments) {
    AbiView view(placement_.graph, segment.nodes, options_.op_id);
    view.lay_out([&](const scf_value& weight) { return layout_of(options_, segment.device, weight).id; });
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
    plan_needs(part);
    for (std::uint32_t v = 0; v < view.value_count(); ++v) {
      const Role role = view.role(v);
      if (role == Role::temp) continue;
      if (role == Role::weight || role == Role::state)
        part.resident.emplace_back(v, view.graph_value(v));
      else
        part.io.push_back({v, view.graph_value(v), role == Role::output});
    }
    check_io(part);
    parts_.push_back(std::move(part));
  }
}

/// Weights and states are looked at when a plan is made; what changes device is known only now.
void StepProgram::check_io(const Part& part) const {
  const plugins::Device& device = *options_.devices[part.device];
  const std::uint64_t largest = largest_value(device);
  for (const Io& io : part.io) {
    const Value& value = placement_.graph.value(io.value);
    if (largest == 0 || value.type.max_bytes() <= largest) continue;
    const auto uses = [&](const Node& node) {
      return placement_.device_of_node[node.id] == part.device &&
             (std::count(node.in.begin(), node.in.end(), io.value) != 0 ||
              std::count(node.out.begin(), node.out.end(), io.value) != 0);
    };
    const auto& nodes = placement_.graph.nodes();
    const auto node = std::find_if(nodes.begin(), nodes.end(), uses);
    throw Error(Status{Code::unimplemented,
                       fmt::format("{} has {} bytes, {} binds at most {}", value.name, value.type.max_bytes(),
                                   device.full_id(), largest),
                       {},
                       {{"node", node == nodes.end() ? value.name : node->name}, {"device", device.full_id()}}});
  }
}

void StepProgram::plan_needs(Part& part) {
  const plugins::Requirements needs = part.program->requirements();
  part.launches = needs.launches;
  part.barriers = needs.barriers;
  part.needs.resize(needs.needs.size());
  std::map<std::uint32_t, std::vector<std::size_t>> of_heap;
  for (std::size_t i = 0; i < needs.needs.size(); ++i) of_heap[needs.needs[i].heap].push_back(i);
  const plugins::Device& device = *options_.devices[part.device];
  for (const auto& [heap, list] : of_heap) {
    std::vector<std::uint64_t> sizes;
    std::uint64_t align = 1;
    for (const std::size_t i : list) {
      sizes.push_back(needs.needs[i].bytes);
      align = std::max(align, needs.needs[i].align);
    }
    const Packing packing = pack(sizes, align, device.info().heap(heap).max_alloc, device.full_id());
    for (std::size_t i = 0; i < list.size(); ++i)
      part.needs[list[i]] = {heap, packing.places[i].block, packing.places[i].offset, sizes[i]};
    part.need_blocks[heap] = {packing.blocks, align};
  }
}

bool StepProgram::uses(std::uint32_t device) const {
  return std::any_of(parts_.begin(), parts_.end(), [&](const Part& part) { return part.device == device; });
}

std::vector<const Value*> StepProgram::resident(std::uint32_t device) const {
  std::vector<const Value*> values;
  for (const Part& part : parts_)
    if (part.device == device)
      for (const auto& [view_value, id] : part.resident) values.push_back(&placement_.graph.value(id));
  return values;
}

plugins::LayoutInfo StepProgram::layout(std::uint32_t device, const Value& weight) const {
  return layout_of(options_, device, describe(weight));
}

std::map<std::uint32_t, NeedBlocks> StepProgram::needs(std::uint32_t device) const {
  std::map<std::uint32_t, NeedBlocks> most;
  for (const Part& part : parts_)
    if (part.device == device)
      for (const auto& [heap, blocks] : part.need_blocks) most[heap].take_larger(blocks);
  return most;
}

/// First the inputs, side by side so that they travel together, then the outputs, then what changes device, which lives
/// from its producer to its last reader.
void StepProgram::plan_io() {
  const std::uint64_t align = io_align(options_.devices);
  std::map<ValueId, std::size_t> block_of;
  std::vector<sdk::Lifetime> blocks;
  const auto lay = [&](Role role) {
    for (const Part& part : parts_)
      for (const Io& io : part.io) {
        const Value& value = placement_.graph.value(io.value);
        if (value.role != role || io_at_.contains(io.value)) continue;
        io_at_[io.value] = {io_bytes_, value.type.max_bytes()};
        io_names_[value.name] = io.value;
        io_bytes_ = sdk::align_up(io_bytes_ + value.type.max_bytes(), align);
      }
  };
  lay(Role::input);
  lay(Role::output);
  for (std::uint32_t p = 0; p < parts_.size(); ++p)
    for (const Io& io : parts_[p].io) {
      const Value& value = placement_.graph.value(io.value);
      if (value.role != Role::temp) continue;
      const auto [it, fresh] = block_of.emplace(io.value, blocks.size());
      if (fresh) blocks.push_back({value.type.max_bytes(), p, p, 0});
      blocks[it->second].last = p;
    }
  const std::uint64_t between = sdk::plan_scratch(blocks, align);
  for (const auto& [id, block] : block_of) io_at_[id] = {io_bytes_ + blocks[block].offset, blocks[block].bytes};
  io_bytes_ += between;
}

/// What must be carried to and from devices that do not compute in host memory: which sides hold a value is known for
/// every part, and what nobody elsewhere reads stays where it is.
void StepProgram::plan_carries() {
  constexpr std::uint32_t k_host = 0xffffffff;
  const auto side = [&](const Part& part) { return sites_[part.device]->near() ? k_host : part.device; };
  std::map<ValueId, std::set<std::uint32_t>> held;   // sides with the value of this step
  std::map<ValueId, std::set<std::uint32_t>> wanted; // sides that read it
  for (const auto& [id, range] : io_at_) {
    const Role role = placement_.graph.value(id).role;
    if (role == Role::input) held[id].insert(k_host);
    if (role == Role::output) wanted[id].insert(k_host);
  }
  for (const Part& part : parts_)
    for (const Io& io : part.io)
      if (!io.written) wanted[io.value].insert(side(part));
  for (Part& part : parts_) {
    const std::uint32_t here = side(part);
    part.to_device.clear();
    part.to_host.clear();
    for (const Io& io : part.io) {
      auto& holders = held[io.value];
      if (!io.written && holders.insert(here).second) part.to_device.push_back(io.value);
      if (!io.written) continue;
      holders = {here};
      const auto& readers = wanted[io.value];
      if (here == k_host || std::all_of(readers.begin(), readers.end(), [&](auto reader) { return reader == here; }))
        continue;
      part.to_host.push_back(io.value);
      holders.insert(k_host);
    }
  }
}

/// What only the host reads stays in the staging memory that the device copies it to.
void StepProgram::plan_outputs() {
  left_in_staging_.clear();
  for (const Part& part : parts_)
    for (const ValueId value : part.to_host) {
      Site& site = *sites_[part.device];
      const auto reads_it = [&](const Part& other) {
        return std::any_of(other.io.begin(), other.io.end(),
                           [&](const Io& io) { return io.value == value && !io.written; });
      };
      if (placement_.graph.value(value).role == Role::output && !site.io_buffer().mappable() &&
          std::none_of(parts_.begin(), parts_.end(), reads_it))
        left_in_staging_[value] = site.io_staging().data() + io_at_.at(value).offset;
    }
}

void StepProgram::bind(std::span<const std::unique_ptr<Site>> sites,
                       const std::function<scf_slice(std::uint32_t device, const Value&)>& slice, std::byte* io_data) {
  sites_ = sites;
  io_data_ = io_data;
  for (Part& part : parts_) {
    const Site& site = *sites[part.device];
    std::vector<scf_binding> bindings;
    for (const auto& [view_value, id] : part.resident)
      bindings.push_back({view_value, 0, slice(part.device, placement_.graph.value(id))});
    std::vector<scf_slice> needs;
    for (const Need& need : part.needs) needs.push_back(site.need(need.heap, need.block, need.offset, need.bytes));
    part.exec = part.program->instantiate(bindings, needs);
    part.io_bindings.clear();
    for (const Io& io : part.io) {
      const Range at = io_at_.at(io.value);
      part.io_bindings.push_back({io.view_value, 0, site.io(at.offset, at.bytes)});
    }
  }
  plan_carries();
  plan_outputs();
}

std::byte* StepProgram::io(std::string_view value) const {
  const auto it = io_names_.find(value);
  if (it == io_names_.end()) return nullptr;
  const auto staged = left_in_staging_.find(it->second);
  return staged != left_in_staging_.end() ? staged->second : io_data_ + io_at_.at(it->second).offset;
}

/// The bytes that a value has in this step.
StepProgram::Range StepProgram::range_now(ValueId value, std::span<const scf_dim> symbols) const {
  const ops::ValueType& type = placement_.graph.value(value).type;
  std::uint64_t elems = 1;
  for (const Dim& dim : type.dims)
    elems *= static_cast<std::uint64_t>(dim.sym == 0 ? dim.max : symbols[dim.sym - 1].value);
  return {io_at_.at(value).offset, row_bytes(type.dtype, elems)};
}

void StepProgram::copy(Lane& lane, scf_slice dst, scf_slice src) {
  const scf_wait before = lane.done.at(lane.submitted);
  const scf_wait after = lane.done.at(++lane.submitted);
  if (!lane.queue.copy(dst, src, {&before, 1}, {&after, 1}))
    throw Error(Code::unimplemented, "a device has neither mappable memory nor copies");
}

void StepProgram::carry_in(const Part& part, std::span<const scf_dim> symbols) {
  Site& site = *sites_[part.device];
  const auto carry = [&](Range range) {
    if (range.bytes == 0) return;
    const bool direct = site.io_buffer().mappable();
    std::byte* to = direct ? site.io_buffer().map() : site.io_staging().data();
    std::copy_n(io_data_ + range.offset, range.bytes, to + range.offset);
    if (direct) return site.io_buffer().flush(range.offset, range.bytes);
    site.io_staging().flush(range.offset, range.bytes);
    copy(lanes_[part.device], site.io(range.offset, range.bytes), site.io_staging().slice(range.offset, range.bytes));
  };
  Range inputs; // they lie side by side, and the host holds them all: one piece
  for (const ValueId value : part.to_device) {
    const Range range = range_now(value, symbols);
    if (placement_.graph.value(value).role != Role::input) {
      carry(range);
    } else if (inputs.bytes == 0) {
      inputs = range;
    } else {
      const std::uint64_t end = std::max(inputs.offset + inputs.bytes, range.offset + range.bytes);
      inputs.offset = std::min(inputs.offset, range.offset);
      inputs.bytes = end - inputs.offset;
    }
  }
  carry(inputs);
}

/// Waits for the part and all that is carried.
void StepProgram::carry_out(const Part& part, std::span<const scf_dim> symbols) {
  Lane& lane = lanes_[part.device];
  if (part.to_host.empty()) return lane.done.wait(lane.submitted);
  Site& site = *sites_[part.device];
  const bool direct = site.io_buffer().mappable();
  for (const ValueId value : part.to_host) {
    const Range range = range_now(value, symbols);
    if (!direct && range.bytes != 0)
      copy(lane, site.io_staging().slice(range.offset, range.bytes), site.io(range.offset, range.bytes));
  }
  lane.done.wait(lane.submitted);
  for (const ValueId value : part.to_host) {
    const Range range = range_now(value, symbols);
    if (range.bytes == 0) continue;
    if (direct)
      site.io_buffer().invalidate(range.offset, range.bytes);
    else
      site.io_staging().invalidate(range.offset, range.bytes);
    if (left_in_staging_.contains(value)) continue;
    const std::byte* from = direct ? site.io_buffer().map() : site.io_staging().data();
    std::copy_n(from + range.offset, range.bytes, io_data_ + range.offset);
  }
}

void StepProgram::run_part(std::size_t p, std::span<const scf_dim> symbols) {
  const Part& part = parts_[p];
  Lane& lane = lanes_[part.device];
  carry_in(part, symbols);
  const scf_wait before = lane.done.at(lane.submitted);
  const scf_wait after = lane.done.at(++lane.submitted);
  lane.queue.submit(part.exec, symbols, part.io_bindings, {&before, 1}, {&after, 1});
  carry_out(part, symbols); // the next part is another device's, and timelines do not cross plugins: the host waits
}

void StepProgram::run(std::span<const scf_dim> symbols) {
  for (std::size_t p = 0; p < parts_.size(); ++p) run_part(p, symbols);
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
    run_part(p, symbols);
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
  const plugins::ClockLine clock = device.profile_clock();
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
        {p, d, r.worker, nodes.subspan(r.first_node, r.n_nodes), clock.host_ns(r.t0), clock.host_ns(r.t1), r.bytes});
  });
  if (broken)
    throw Error(Code::internal,
                fmt::format("device {} reports profile records of nodes that it was not given", device.full_id()));
}

} // namespace seacliff::graph
