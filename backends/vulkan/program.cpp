#include "program.hpp"

#include "exec.hpp"
#include "ops/products.hpp"

#include <seacliff/sdk/table.hpp>

#include <algorithm>

namespace seacliff::vulkan {
namespace {

/// How much of their weights these ops read depends on their inputs.
bool reads_by_need(std::string_view op) { return op == "gather_rows" || op == "matmul_id" || op == "moe_experts"; }

} // namespace

Program::Program(Device& device, const scf_graph_view& graph) : device_(device) {
  read_values(graph);
  emit_nodes(graph);
  plan_levels();
  join_launches();
  order_levels();
  if (is_few() && device.caches_pieces()) touch_ahead(Device::k_ahead);
  place_temporaries();
  lay_out_step();
  for (Launch& launch : launches_)
    launch.pipeline = device.pipelines().get(launch.dispatch.shader, launch.dispatch.constants);
}

void Program::read_values(const scf_graph_view& graph) {
  values_.resize(graph.n_values);
  for (std::uint32_t id = 0; id < graph.n_values; ++id) {
    const scf_value& from = sdk::strided(graph.values, graph.value_stride, id);
    Value& to = values_[id];
    to.name = std::string(sdk::view(from.name));
    to.role = from.role;
    const DTypeInfo* info = find_dtype(from.dtype);
    if (info == nullptr || from.rank == 0 || from.rank > SCF_MAX_RANK)
      throw sdk::Failure(SCF_INVALID_ARGUMENT, "value '" + to.name + "' has an unknown format or rank");
    std::uint64_t bytes = info->block_bytes;
    for (std::uint32_t axis = 0; axis < from.rank; ++axis) {
      const std::int64_t blocks = axis + 1 == from.rank ? from.dims[axis] / info->block_elems : from.dims[axis];
      if (from.dims[axis] < 0 || __builtin_mul_overflow(bytes, static_cast<std::uint64_t>(blocks), &bytes))
        throw sdk::Failure(SCF_INVALID_ARGUMENT,
                           "dimension " + std::to_string(axis) + " of value '" + to.name + "' is out of range");
    }
    const sdk::ValueView view{&from};
    to.rows = count_of(view, 0, from.rank > 1 ? from.rank - 1 : 1);
    to.row_bytes = from.rank > 1 ? row_bytes(info->dtype, static_cast<std::uint64_t>(view.cols()))
                                 : info->block_bytes / info->block_elems;
    if (from.rank == 1 && info->block_elems != 1) { // one row of blocks
      to.rows = fixed(1);
      to.row_bytes = row_bytes(info->dtype, static_cast<std::uint64_t>(view.cols()));
    }
  }
}

void Program::use(const scf_graph_view& graph, std::uint32_t id) {
  values_[id].used = true;
  const scf_value& value = sdk::strided(graph.values, graph.value_stride, id);
  for (std::uint32_t axis = 0; axis < value.rank; ++axis) {
    const std::uint32_t sym = value.dim_sym[axis];
    if (sym == 0) continue;
    const auto found = std::find_if(symbols_.begin(), symbols_.end(), [&](const Symbol& s) { return s.sym == sym; });
    if (found == symbols_.end())
      symbols_.push_back({sym, value.dims[axis]});
    else
      found->most = std::min(found->most, value.dims[axis]);
  }
}

void Program::use_operands(const scf_graph_view& graph, const scf_node& node) {
  for (std::uint32_t i = 0; i < node.n_in + node.n_out; ++i) {
    const std::uint32_t id = i < node.n_in ? node.in[i] : node.out[i - node.n_in];
    if (id != SCF_NONE) use(graph, id);
  }
}

void Program::emit_nodes(const scf_graph_view& graph) {
  std::vector<sdk::NodeView> nodes;
  std::vector<const OpEntry*> entries;
  for (std::uint32_t i = 0; i < graph.n_nodes; ++i) {
    const scf_node& node = sdk::strided(graph.nodes, graph.node_stride, i);
    const Catalogue::Answer answer = device_.catalogue().ask(graph, node);
    if (answer.entry == nullptr)
      throw sdk::Failure(SCF_UNIMPLEMENTED, "node '" + std::string(sdk::view(node.name)) + "': " + answer.claim.reason,
                         {{"node", std::int64_t{node.id}}});
    nodes.emplace_back(&graph, &node, answer.entry->op);
    entries.push_back(answer.entry);
    use_operands(graph, node);
  }
  const Fusion fusion = find_fusion(nodes, graph.n_values);
  const Caps& caps = device_.caps();
  const Shape shape{caps.subgroup,     caps.most_groups[0], caps.most_threads,
                    caps.shared_bytes, caps.byte_dots,      caps.matrix};
  Emitter emitter(recording_, shape, nodes, fusion);
  for (std::size_t n = 0; n < nodes.size(); ++n) {
    if (fusion.folds[n].skipped) continue;
    const std::size_t first = recording_.dispatches.size();
    emitter.begin(n);
    entries[n]->emit(emitter);
    for (std::size_t i = first; i < recording_.dispatches.size(); ++i) {
      Launch launch;
      launch.dispatch = std::move(recording_.dispatches[i]);
      launch.by_need = reads_by_need(entries[n]->op);
      if (i == first && !launch.by_need) launch.weight_bytes = weight_bytes(nodes[n].raw());
      launches_.push_back(std::move(launch));
    }
  }
}

std::uint64_t Program::weight_bytes(const scf_node& node) const {
  std::uint64_t bytes = 0;
  for (std::uint32_t i = 0; i < node.n_in; ++i)
    if (node.in[i] != SCF_NONE && values_[node.in[i]].role == SCF_ROLE_WEIGHT)
      bytes += values_[node.in[i]].most_bytes();
  return bytes;
}

/// Temporaries of the graph and pieces of the ops share one scratch: what is never alive on the same level may lie in
/// the same place.
void Program::place_temporaries() {
  constexpr std::uint32_t never = ~std::uint32_t{0};
  std::vector<sdk::Lifetime> lifetimes;
  std::vector<std::uint32_t> of_value(values_.size(), never), of_block(recording_.blocks.size(), never);
  for (const Launch& launch : launches_)
    for (const Use& use : launch.dispatch.at) {
      const bool block = use.place.kind == Place::Kind::block;
      if (!block && use.place.kind != Place::Kind::value) continue;
      if (!block && values_[use.place.index].role != SCF_ROLE_TEMP) continue;
      std::uint32_t& slot = block ? of_block[use.place.index] : of_value[use.place.index];
      if (slot == never) {
        if (!use.writes)
          throw sdk::Failure(SCF_INVALID_ARGUMENT,
                             "temporary '" + values_[use.place.index].name + "' is read before it is written");
        slot = static_cast<std::uint32_t>(lifetimes.size());
        const std::uint64_t bytes = block ? recording_.blocks[use.place.index] : values_[use.place.index].most_bytes();
        lifetimes.push_back({bytes, launch.level, launch.level, 0});
      }
      lifetimes[slot].last = launch.level;
    }
  const std::uint64_t bytes = sdk::plan_scratch(lifetimes, k_scratch_align);
  if (bytes != 0) needs_.push_back({k_device_heap, 0, bytes, k_scratch_align});
  for (std::size_t i = 0; i < of_value.size(); ++i)
    if (of_value[i] != never) values_[i].offset = lifetimes[of_value[i]].offset;
  for (const std::uint32_t slot : of_block) block_offsets_.push_back(slot == never ? 0 : lifetimes[slot].offset);
}

void Program::lay_out_step() {
  for (Launch& launch : launches_)
    for (const Extent& extent : launch.dispatch.groups)
      if (extent.count.sym != 0) launch.grid = 1; // an offset comes below
  step_.addresses = sdk::align_up(std::max<std::size_t>(recording_.counts.size(), 1) * 4, 8);
  std::uint64_t at = step_.addresses;
  for (Value& value : values_)
    if (value.used && (value.role == SCF_ROLE_INPUT || value.role == SCF_ROLE_OUTPUT)) {
      value.offset = at;
      at += 8;
    }
  step_.grids = at;
  for (Launch& launch : launches_)
    if (launch.grid != 0) {
      launch.grid = at;
      at += 12;
    }
  step_.constants = sdk::align_up(at, 16);
  step_.counters = sdk::align_up(step_.constants + recording_.constants.size(), 16);
  at = sdk::align_up(step_.counters + recording_.counters * 4, 8);
  for (Launch& launch : launches_)
    if (launch.dispatch.at.size() > PushBlock::k_addresses) {
      launch.table = at;
      at += (launch.dispatch.at.size() - PushBlock::k_direct) * 8;
    }
  step_.bytes = sdk::align_up(at, 16);
}

std::uint32_t Program::groups(const Launch& launch, int axis, std::uint64_t count) const {
  const Extent& extent = launch.dispatch.groups[axis];
  const std::uint64_t limit = extent.most != 0 ? extent.most : device_.caps().most_groups[axis];
  return static_cast<std::uint32_t>(std::min((count + extent.per - 1) / extent.per, limit));
}

// ---- the entries of scf_program_api --------------------------------------------------------------------------------

namespace {

scf_status* propose(scf_device* handle, const scf_graph_view* graph, void (*sink)(void*, const scf_claim*),
                    void* user) {
  const Device* device = Device::of(handle);
  return sdk::guard(device->host(), [&] {
    for (std::uint32_t i = 0; i < graph->n_nodes; ++i) {
      const scf_node& node = sdk::strided(graph->nodes, graph->node_stride, i);
      const sdk::Claim claim = device->catalogue().ask(*graph, node).claim;
      const scf_claim said{
          sdk::header<scf_claim>(SCF_KIND_CLAIM), &node.id, 1, claim.level, {}, sdk::str(claim.reason), claim.est_us};
      sink(user, &said);
    }
  });
}

scf_status* compile(scf_device* handle, const scf_graph_view* graph, const scf_kv* pairs, std::uint32_t count,
                    scf_program** out) {
  Device* device = Device::of(handle);
  return guarded(device, [&] {
    const sdk::Options none(pairs, count, {});
    *out = reinterpret_cast<scf_program*>(new Program(*device, *graph));
  });
}

scf_status* requirements(scf_program* handle, scf_requirements* out) {
  const Program* program = Program::of(handle);
  scf_requirements need{};
  need.needs = program->needs().data();
  need.n_needs = program->needs().size();
  need.launches = program->launches().size();
  need.barriers = program->barriers();
  sdk::write_struct(out, need);
  return nullptr;
}

scf_status* instantiate(scf_program* handle, const scf_bindings* bindings, scf_exec** out) {
  Program* program = Program::of(handle);
  return guarded(&program->device(), [&] {
    const scf_bindings all = sdk::read_struct(bindings);
    *out = (new Exec(*program, all))->as_handle();
  });
}

void exec_free(scf_exec* handle) { delete Exec::of(handle); }
void program_free(scf_program* handle) { delete Program::of(handle); }

} // namespace

const scf_program_api k_program{sdk::header<scf_program_api>(SCF_KIND_PROGRAM_API),
                                propose,
                                compile,
                                requirements,
                                instantiate,
                                exec_free,
                                program_free};

} // namespace seacliff::vulkan
