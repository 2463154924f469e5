#include "graph/passes/passes.hpp"

#include <unordered_set>

namespace seacliff::graph {
namespace {

/// A composite whose decomposition holds itself would never end.
constexpr int k_deepest = 16;

class Decomposer {
public:
  Decomposer(const Graph& graph, const SelectNode& select)
      : source_(graph), select_(select), out_(graph.name, graph.symbols(), graph.values(), {}) {
    for (const Value& value : graph.values()) value_names_.insert(value.name);
    for (const Node& node : graph.nodes()) node_names_.insert(node.name);
  }

  Graph run() {
    for (const Node& node : source_.nodes()) place(node, 0);
    return std::move(out_);
  }

private:
  class ChildEmitter : public ops::Emitter {
  public:
    ChildEmitter(Decomposer& owner, const Node& parent, int depth) : owner_(owner), parent_(parent), depth_(depth) {}

    const ValueType& type(ValueId value) const override {
      if (value >= owner_.out_.values().size())
        throw Error(Code::internal, fmt::format("decomposition of '{}' asks for value {}", parent_.name, value));
      return owner_.out_.value(value).type;
    }
    std::vector<ValueId> add(std::string_view op, std::vector<ValueId> in, Attrs attrs,
                             std::string_view suffix) override {
      return add_into(op, std::move(in), {}, std::move(attrs), suffix);
    }
    std::vector<ValueId> add_into(std::string_view op, std::vector<ValueId> in, std::vector<ValueId> out, Attrs attrs,
                                  std::string_view suffix) override {
      return owner_.emit(parent_, depth_, op, std::move(in), std::move(out), std::move(attrs), suffix);
    }

  private:
    Decomposer& owner_;
    const Node& parent_;
    int depth_;
  };

  void place(const Node& node, int depth) {
    const ops::Schema* schema = ops::find_schema(node.op);
    if (schema == nullptr || !schema->composite() || !select_(out_, node)) {
      out_.add_node_into(node.op, node.in, node.out, node.attrs, node.name, node.source_line);
      return;
    }
    if (depth >= k_deepest)
      throw Error(Code::internal, fmt::format("the decomposition of '{}' ({}) has no end", node.name, node.op));
    ChildEmitter emitter(*this, node, depth + 1);
    schema->decompose({node.op, node.name, node.in, node.out, node.attrs}, emitter);
  }

  /// Completes the outputs (new temporaries where `out` has none) and places the node.
  std::vector<ValueId> emit(const Node& parent, int depth, std::string_view op, std::vector<ValueId> in,
                            std::vector<ValueId> out, Attrs attrs, std::string_view suffix) {
    Node node;
    node.id = k_none;
    node.op = op;
    node.name = unique(node_names_, fmt::format("{}.{}", parent.name, suffix));
    node.source_line = parent.source_line;
    std::vector<ValueType> types = infer(node, in, attrs);
    const ops::Schema& schema = *ops::find_schema(op);
    out.resize(types.size(), k_none);
    for (std::size_t o = 0; o < out.size(); ++o) {
      if (out[o] != k_none) continue;
      const int alias = schema.alias_of(o);
      if (alias >= 0)
        out[o] = in[static_cast<std::size_t>(alias)];
      else
        out[o] = out_.add_value(Role::temp, std::move(types[o]), value_name(node.name, schema, o));
    }
    node.in = std::move(in);
    node.out = out;
    node.attrs = std::move(attrs);
    place(node, depth);
    return out;
  }

  std::vector<ValueType> infer(const Node& node, std::span<const ValueId> in, const Attrs& attrs) const {
    try {
      return infer_types(out_, node.op, in, attrs);
    } catch (const Error& error) {
      throw Error(Code::internal,
                  fmt::format("node '{}' ({}), made by a decomposition: {}", node.name, node.op, error.what()));
    }
  }

  std::string value_name(const std::string& node, const ops::Schema& schema, std::size_t o) {
    return unique(value_names_, schema.outputs.size() == 1 ? node : fmt::format("{}.{}", node, schema.outputs[o]));
  }

  static std::string unique(std::unordered_set<std::string>& taken, const std::string& name) {
    std::string candidate = name;
    for (int n = 2; !taken.insert(candidate).second; ++n) candidate = fmt::format("{}.{}", name, n);
    return candidate;
  }

  const Graph& source_;
  const SelectNode& select_;
  Graph out_;
  std::unordered_set<std::string> value_names_, node_names_;
};

} // namespace

Graph decompose(const Graph& graph, const SelectNode& select) { return Decomposer(graph, select).run(); }

Graph decompose(const Graph& graph) {
  return decompose(graph, [](const Graph&, const Node&) { return true; });
}

} // namespace seacliff::graph
