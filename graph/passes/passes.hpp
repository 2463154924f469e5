// Passes: each takes a verified graph and gives a verified one that computes the same. One pass per file.
#pragma once

#include "graph/ir/ir.hpp"

#include <functional>
#include <span>
#include <string_view>

namespace seacliff::graph {

/// Which composites to take apart. The node's operands are values of `graph`; `node.id` is its id in the graph that the
/// pass was given, or k_none for a node that a decomposition made.
using SelectNode = std::function<bool(const Graph& graph, const Node& node)>;

/// Replaces every composite that `select` takes by its decomposition, again and again until none is left. Value ids of
/// `graph` stay as they are, new temporaries follow; the new nodes are called `<parent>.<suffix>` and keep the parent's
/// source line. Primitives are never asked for.
Graph decompose(const Graph& graph, const SelectNode& select);
/// All composites.
Graph decompose(const Graph& graph);

/// Removes nodes that do nothing (roundings that are switched off): their readers get the input. A node that reads a
/// STATE or writes an OUTPUT stays.
Graph fold(const Graph& graph);

/// Removes nodes that reach no OUTPUT and update no STATE, then weights and temporaries that nobody touches. Inputs,
/// outputs and states stay. Values and nodes are numbered anew.
Graph dead_code(const Graph& graph);

/// A pass without arguments, as `--pass NAME` finds it.
struct PassInfo {
  std::string_view name, doc;
  Graph (*run)(const Graph& graph);
};

/// In the order in which they make sense.
std::span<const PassInfo> passes();
/// nullptr when there is no such pass.
const PassInfo* find_pass(std::string_view name);

} // namespace seacliff::graph
