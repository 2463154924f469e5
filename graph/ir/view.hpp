// A graph, or a segment of one, as plugins see it.
#pragma once

#include "graph/ir/ir.hpp"

#include <seacliff/abi/scf_abi.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace seacliff::graph {

/// A value as plugins see it, with the number `id`. Its name points into `value`. Throws Error(internal) when it has
/// more dimensions than the ABI.
scf_value describe(const Value& value, std::uint32_t id = 0);

/// Owns a scf_graph_view and everything it points to; the Graph (a verified one) may go away. Values and nodes of the
/// view are numbered densely from 0 (that is their `id` in the view); the maps below lead back to the graph.
class AbiView {
public:
  /// "matmul" -> the id that plugins get from scf_host.op_id; 0 means unknown and makes the constructor throw.
  using OpIds = std::function<std::uint32_t(std::string_view op)>;

  /// The whole graph: all values and nodes, under their own ids and roles.
  AbiView(const Graph& graph, const OpIds& op_ids);

  /// A segment: nodes of the graph in ascending order, and the values they touch, numbered by first use. Weights and
  /// states keep their role. A value that the segment reads and does not write is INPUT; one that it writes is OUTPUT
  /// when a node outside reads it or the graph has it as output, else TEMP. Throws Error(internal) when `nodes` is not
  /// ascending or names a node that does not exist.
  AbiView(const Graph& graph, std::span<const std::uint32_t> nodes, const OpIds& op_ids);

  AbiView(AbiView&&) = default;
  AbiView& operator=(AbiView&&) = default;
  AbiView(const AbiView&) = delete;
  AbiView& operator=(const AbiView&) = delete;

  /// Valid as long as this object, also after it is moved from one AbiView to another.
  const scf_graph_view* get() const { return &view_; }

  /// Gives each weight the layout that `layout_of` names; without this they are in the file's.
  void lay_out(const std::function<std::uint32_t(const scf_value& weight)>& layout_of);

  std::size_t value_count() const { return values_.size(); }
  std::size_t node_count() const { return nodes_.size(); }
  /// SCF_NONE when the value is not part of the view.
  std::uint32_t view_value(ValueId id) const;
  ValueId graph_value(std::uint32_t id) const { return graph_values_[id]; }
  std::uint32_t graph_node(std::uint32_t id) const { return graph_nodes_[id]; }
  /// Of the value with this view id: its role in this view, and all that a plugin sees of it.
  Role role(std::uint32_t id) const { return static_cast<Role>(values_[id].role); }
  const scf_value& value(std::uint32_t id) const { return values_[id]; }
  /// View ids of the values of one role, ascending.
  std::vector<std::uint32_t> values_of(Role role) const;

private:
  void add_value(const Graph& graph, ValueId id, Role role);
  void add_node(const Node& node, const OpIds& op_ids);
  void number_segment_values(const Graph& graph);
  void add_nodes(const Graph& graph, const OpIds& op_ids);
  scf_str keep(std::string_view text);
  std::uint32_t op_id(std::string_view op, const OpIds& op_ids);

  std::vector<scf_value> values_;
  std::vector<scf_node> nodes_;
  std::vector<std::uint32_t> operands_; // in and out of all nodes, one after another
  std::vector<scf_kv> attrs_;
  std::deque<std::string> strings_; // a deque: elements never move
  std::map<std::string, std::uint32_t, std::less<>> op_cache_;
  std::vector<std::uint32_t> view_of_; // graph value -> view value or SCF_NONE
  std::vector<ValueId> graph_values_;
  std::vector<std::uint32_t> graph_nodes_;
  scf_graph_view view_{};
};

} // namespace seacliff::graph
