// The fused pattern: rms_norm and the products right behind it that read its rows. One launch instead of one per node,
// and the normalised rows stay in fast memory: they are written out only when somebody else reads them.
#pragma once

#include "f16_row.hpp"
#include "matmul.hpp"
#include "rms_norm.hpp"

#include <seacliff/sdk/kernel_plugin.hpp>

#include <vector>

namespace device {

using namespace seacliff::sdk;

/// Neighbouring nodes that run as one: [first, first + count) of the graph's nodes.
struct Group {
  std::uint32_t first = 0, count = 1;
  float eps = 0;           // of the norm
  bool writes_norm = true; // somebody outside the group reads the normalised rows
};

inline const scf_node& node_at(const scf_graph_view& graph, std::uint32_t i) {
  return strided(graph.nodes, graph.node_stride, i);
}

/// Who reads value `id`, the nodes of `group` left out? An OUTPUT is read by the host.
inline bool read_outside(const scf_graph_view& graph, std::uint32_t id, const Group& group) {
  if (strided(graph.values, graph.value_stride, id).role == SCF_ROLE_OUTPUT) return true;
  for (std::uint32_t n = 0; n < graph.n_nodes; ++n) {
    if (n >= group.first && n < group.first + group.count) continue;
    const scf_node& node = node_at(graph, n);
    if (std::find(node.in, node.in + node.n_in, id) != node.in + node.n_in) return true;
  }
  return false;
}

/// Cuts a graph into groups, most of them of one node. propose and compile both call this, so they cannot disagree. A
/// node joins a group only when the catalogue takes it alone, too: fusion must not smuggle in what is not supported.
inline std::vector<Group> find_groups(const scf_graph_view& graph, const Catalogue& catalogue, const scf_host* host) {
  const std::uint32_t norm = host->op_id(host->ctx, str("scf"), str("rms_norm"), 1);
  const std::uint32_t matmul = host->op_id(host->ctx, str("scf"), str("matmul"), 1);
  const auto taken = [&](const scf_node& node) { return catalogue.ask(graph, node).entry != nullptr; };
  std::vector<Group> groups;
  for (std::uint32_t i = 0; i < graph.n_nodes; i += groups.back().count) {
    groups.push_back({i});
    Group& group = groups.back();
    const scf_node& head = node_at(graph, i);
    if (head.op != norm || !taken(head)) continue;
    for (; i + group.count < graph.n_nodes; ++group.count) {
      const scf_node& next = node_at(graph, i + group.count);
      if (next.op != matmul || !taken(next) || next.in[0] != head.out[0]) break;
    }
    group.eps = static_cast<float>(NodeView(&graph, &head, "rms_norm").attr_float("eps"));
    group.writes_norm = group.count == 1 || read_outside(graph, head.out[0], group);
  }
  return groups;
}

using Dot = float (*)(const std::byte* row, const float* x, std::int64_t k);

inline Dot dot_of(seacliff::DType dtype) {
  if (dtype == kernels::Q8Row::k_dtype) return kernels::Q8Row::dot;
  if (dtype == kernels::F16Row::k_dtype) return kernels::F16Row::dot;
  return kernels::F32Row::dot;
}

/// The kernel of a group: `calls` are those of its nodes, the norm first. Rows of x come in tiles; each row of a weight
/// is read once per tile, as the plain kernel reads it once per step.
class NormMatmul {
public:
  static constexpr std::int64_t k_tile = 8; // rows; tile and weight row together should fit the fast memory

  static std::uint64_t fast_bytes(std::int64_t width) { return static_cast<std::uint64_t>(k_tile * width) * 4; }

  static void run(std::span<const KernelCall> calls, const Group& group, float* fast) noexcept {
    const Tensor &x = calls[0].input(0), &w = calls[0].input(1), &y = calls[0].output(0);
    const float* weight = w ? w.f32() : nullptr;
    const std::int64_t width = y.cols();
    for (std::int64_t t = 0; t < y.rows(); t += k_tile) {
      const std::int64_t n = std::min(k_tile, y.rows() - t);
      for (std::int64_t i = 0; i < n; ++i)
        kernels::normalise(x.f32() + (t + i) * width, weight, fast + i * width, width, group.eps);
      if (group.writes_norm) std::copy_n(fast, n * width, y.f32_row(t));
      for (const KernelCall& product : calls.subspan(1)) multiply(product, fast, t, n);
    }
  }

private:
  static void multiply(const KernelCall& call, const float* fast, std::int64_t t, std::int64_t n) noexcept {
    const Tensor &w = call.input(1), &y = call.output(0);
    const Dot dot = dot_of(w.dtype);
    for (std::int64_t row = 0; row < w.rows(); ++row)
      for (std::int64_t i = 0; i < n; ++i) y.f32_row(t + i)[row] = dot(w.row(row), fast + i * w.cols(), w.cols());
  }
};

/// propose: every node alone, then every group as one. The host takes a group only when it takes each of its nodes.
inline scf_status* propose(scf_device* handle, const scf_graph_view* graph, void (*sink)(void*, const scf_claim*),
                           void* user) {
  if (scf_status* failed = tables::propose<false>(handle, graph, sink, user)) return failed;
  const tables::DeviceObject* device = tables::DeviceObject::of(handle);
  return guard(device->host(), [&] {
    for (const Group& group : find_groups(*graph, device->catalogue, device->host())) {
      if (group.count == 1) continue;
      std::vector<std::uint32_t> nodes;
      for (std::uint32_t i = 0; i < group.count; ++i) nodes.push_back(node_at(*graph, group.first + i).id);
      const scf_claim said{
          header<scf_claim>(SCF_KIND_CLAIM), nodes.data(), group.count, SCF_CLAIM_PREFERRED, str("norm_matmul"), {}, 0};
      sink(user, &said);
    }
  });
}

} // namespace device
