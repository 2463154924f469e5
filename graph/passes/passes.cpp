#include "graph/passes/passes.hpp"

#include <algorithm>
#include <array>

namespace seacliff::graph {
namespace {

Graph decompose_all(const Graph& graph) { return decompose(graph); }

constexpr std::array<PassInfo, 3> k_passes{{
    {"decompose", "replaces every composite by primitives", decompose_all},
    {"fold", "removes nodes that do nothing", fold},
    {"dead_code", "removes what reaches no output and updates no state", dead_code},
}};

} // namespace

std::span<const PassInfo> passes() { return k_passes; }

const PassInfo* find_pass(std::string_view name) {
  const auto it = std::ranges::find(k_passes, name, &PassInfo::name);
  return it == k_passes.end() ? nullptr : &*it;
}

} // namespace seacliff::graph
