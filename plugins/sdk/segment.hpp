// A compiled segment: kernels in program order, operands flattened, temporaries placed (a result over an input that
// nobody needs any more, where the kernel can), barriers only where one node touches what another of the same phase has
// written.
#pragma once

#include <seacliff/sdk/device.hpp>
#include <seacliff/sdk/scratch.hpp>

#include <limits>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <vector>

namespace seacliff::sdk {

/// The catalogue of one device by op id of the host. Several entries may name one op: the first that takes a node wins.
class Catalogue {
public:
  Catalogue(const scf_host* host, std::span<const KernelEntry> entries) : host_(host) {
    for (const KernelEntry& entry : entries) {
      const std::uint32_t op = host->op_id(host->ctx, str("scf"), str(entry.op), 1);
      if (op == 0) continue; // this host has no such op, so no graph of it has
      if (by_op_.size() <= op) by_op_.resize(op + 1);
      by_op_[op].push_back(&entry);
    }
  }

  struct Answer {
    const KernelEntry* entry = nullptr; // nullptr: declined
    Claim claim;
  };

  /// Pure. The reason of the first entry that was asked stands when all decline.
  Answer ask(const scf_graph_view& graph, const scf_node& node) const {
    if (node.op >= by_op_.size() || by_op_[node.op].empty())
      return {nullptr, Claim::no("no kernel for " + op_name(node.op))};
    Answer refusal;
    for (const KernelEntry* entry : by_op_[node.op]) {
      Claim claim = entry->claim(NodeView(&graph, &node, entry->op));
      if (claim.level != SCF_CLAIM_NO) return {entry, std::move(claim)};
      if (refusal.claim.reason.empty()) refusal.claim = std::move(claim);
    }
    if (refusal.claim.reason.empty()) refusal.claim.reason = "the kernel for " + op_name(node.op) + " declines";
    return refusal;
  }

private:
  std::string op_name(std::uint32_t op) const {
    const std::string_view name = view(host_->op_name(host_->ctx, op));
    return name.empty() ? "op " + std::to_string(op) : std::string(name);
  }

  const scf_host* host_;
  std::vector<std::vector<const KernelEntry*>> by_op_;
};

/// What run time needs to know of a value.
struct SegmentValue {
  std::uint32_t role = 0, layout = 0, rank = 0;
  DType dtype = DType::f32;
  std::int64_t dims[SCF_MAX_RANK] = {}; // maxima
  std::uint32_t syms[SCF_MAX_RANK] = {};
  std::uint64_t bytes = 0;          // at the maxima
  std::uint64_t scratch_offset = 0; // of a TEMP
  std::string name;
  bool used = false;
};

struct SegmentNode {
  std::unique_ptr<Kernel> kernel;
  std::uint32_t id = 0;
  std::uint32_t first_operand = 0, n_in = 0, n_out = 0;
  std::uint64_t scratch_offset = 0, scratch_bytes = 0;
  std::uint64_t weight_bytes = 0; // read once per run; 0: unknown, how much the op reads depends on its inputs
  bool barrier_before = false;
  bool joined = false;                 // runs as part of a neighbour
  std::uint32_t before = 0, after = 0; // neighbours that have joined this node
  std::uint32_t reader = SCF_NONE;     // the node, of this program, that takes early what this one makes
  bool taken = false;                  // is such a one
  std::uint32_t form = SCF_NONE;       // the segment's form that it reads,
  bool formed = false;                 // which a node before it has made
};

/// What kernels make of a value for themselves and each other, see Kernel::form.
struct SegmentForm {
  std::uint32_t value = SCF_NONE;
  Kernel::Form form;
  std::size_t first = 0, last = 0; // nodes
  std::uint64_t scratch_offset = 0;
};

/// A symbol that some operand uses, with the largest value that fits all of them.
struct SegmentSymbol {
  std::uint32_t sym = 0;
  std::int64_t max = std::numeric_limits<std::int64_t>::max();
};

/// Throws Failure: invalid_argument for a malformed view, unimplemented (detail "node") for a node no kernel takes.
class Segment {
public:
  Segment(const scf_graph_view& graph, const Catalogue& catalogue, std::uint32_t workers) : workers_(workers) {
    read_values(graph);
    for (std::uint32_t i = 0; i < graph.n_nodes; ++i)
      add_node(graph, strided(graph.nodes, graph.node_stride, i), catalogue);
    join_rows();
    find_early_readers();
    share_forms();
    share_memory();
    place(assign_phases());
  }

  const std::vector<SegmentValue>& values() const { return values_; }
  const std::vector<SegmentNode>& nodes() const { return nodes_; }
  const std::vector<SegmentForm>& forms() const { return forms_; }
  const std::vector<std::uint32_t>& operands() const { return operands_; } // value ids, inputs then outputs per node
  const std::vector<SegmentSymbol>& symbols() const { return symbols_; }
  std::uint32_t workers() const { return workers_; }
  std::uint64_t scratch_bytes() const { return scratch_bytes_; }
  std::uint64_t barriers() const { return barriers_; }

private:
  static constexpr std::uint64_t k_align = 64;

  void read_values(const scf_graph_view& graph) {
    values_.resize(graph.n_values);
    for (std::uint32_t id = 0; id < graph.n_values; ++id) {
      const scf_value& from = strided(graph.values, graph.value_stride, id);
      SegmentValue& to = values_[id];
      to.name = std::string(view(from.name));
      to.role = from.role;
      to.layout = from.layout;
      const DTypeInfo* info = find_dtype(from.dtype);
      if (info == nullptr || from.rank == 0 || from.rank > SCF_MAX_RANK)
        throw Failure(SCF_INVALID_ARGUMENT, "value '" + to.name + "' has an unknown format or rank");
      to.dtype = info->dtype;
      to.rank = from.rank;
      std::copy_n(from.dims, from.rank, to.dims);
      std::copy_n(from.dim_sym, from.rank, to.syms);
      to.bytes = max_bytes(to, *info);
    }
  }

  static std::uint64_t max_bytes(const SegmentValue& value, const DTypeInfo& info) {
    std::uint64_t bytes = info.block_bytes;
    for (std::uint32_t axis = 0; axis < value.rank; ++axis) {
      const std::int64_t dim = value.dims[axis];
      const bool inner = axis + 1 == value.rank;
      const bool whole = !inner || (dim % info.block_elems == 0 && (info.block_elems == 1 || value.syms[axis] == 0));
      if (dim < 0 || !whole ||
          __builtin_mul_overflow(bytes, static_cast<std::uint64_t>(inner ? dim / info.block_elems : dim), &bytes))
        throw Failure(SCF_INVALID_ARGUMENT,
                      "dimension " + std::to_string(axis) + " of value '" + value.name + "' is out of range");
    }
    return bytes;
  }

  void add_node(const scf_graph_view& graph, const scf_node& node, const Catalogue& catalogue) {
    check_operands(graph, node);
    const Catalogue::Answer answer = catalogue.ask(graph, node);
    const auto refuse = [&](const std::string& why) {
      throw Failure(SCF_UNIMPLEMENTED, "node '" + std::string(view(node.name)) + "': " + why,
                    {{"node", std::int64_t{node.id}}});
    };
    if (answer.entry == nullptr) refuse(answer.claim.reason);
    SegmentNode made;
    made.kernel = answer.entry->make(NodeView(&graph, &node, answer.entry->op));
    if (made.kernel == nullptr) refuse("the kernel that claimed it could not be made");
    made.id = node.id;
    made.first_operand = static_cast<std::uint32_t>(operands_.size());
    made.n_in = node.n_in;
    made.n_out = node.n_out;
    made.scratch_bytes = align_up(made.kernel->scratch_bytes(workers_), k_align);
    operands_.insert(operands_.end(), node.in, node.in + node.n_in);
    operands_.insert(operands_.end(), node.out, node.out + node.n_out);
    for (std::size_t i = made.first_operand; i < operands_.size(); ++i)
      if (operands_[i] != SCF_NONE) use(values_[operands_[i]]);
    if (!reads_by_need(answer.entry->op))
      for (const std::uint32_t id : inputs(made))
        if (id != SCF_NONE && values_[id].role == SCF_ROLE_WEIGHT) made.weight_bytes += values_[id].bytes;
    nodes_.push_back(std::move(made));
  }

  static bool reads_by_need(std::string_view op) {
    return op == "gather_rows" || op == "matmul_id" || op == "moe_experts" || op == "route" || op == "index_select";
  }

  static void check_operands(const scf_graph_view& graph, const scf_node& node) {
    const auto broken = [&](std::uint32_t id) { return id >= graph.n_values && id != SCF_NONE; };
    if (std::any_of(node.in, node.in + node.n_in, broken) || std::any_of(node.out, node.out + node.n_out, broken))
      throw Failure(SCF_INVALID_ARGUMENT,
                    "node '" + std::string(view(node.name)) + "' has an operand that is no value");
  }

  void use(SegmentValue& value) {
    value.used = true;
    for (std::uint32_t axis = 0; axis < value.rank; ++axis) {
      if (value.syms[axis] == 0) continue;
      auto same = [&](const SegmentSymbol& symbol) { return symbol.sym == value.syms[axis]; };
      auto found = std::find_if(symbols_.begin(), symbols_.end(), same);
      if (found == symbols_.end()) found = symbols_.insert(symbols_.end(), {value.syms[axis]});
      found->max = std::min(found->max, value.dims[axis]);
    }
  }

  std::span<const std::uint32_t> inputs(const SegmentNode& node) const {
    return std::span(operands_).subspan(node.first_operand, node.n_in);
  }
  std::span<const std::uint32_t> outputs(const SegmentNode& node) const {
    return std::span(operands_).subspan(node.first_operand + node.n_in, node.n_out);
  }

  bool is_temporary(std::uint32_t id) const { return id != SCF_NONE && values_[id].role == SCF_ROLE_TEMP; }
  bool reads(std::size_t node, std::uint32_t id) const {
    const auto in = inputs(nodes_[node]);
    return std::find(in.begin(), in.end(), id) != in.end();
  }
  /// Whether a node in front of `node` writes the value.
  bool made_before(std::size_t node, std::uint32_t id) const {
    return std::any_of(nodes_.begin(), nodes_.begin() + static_cast<std::ptrdiff_t>(node),
                       [&](const SegmentNode& other) {
                         const auto out = outputs(other);
                         return std::find(out.begin(), out.end(), id) != out.end();
                       });
  }
  /// Whether node n makes rows of `grain` elements or divisors of it, and may be run as part of node `host`.
  bool can_join(std::size_t n, std::int64_t grain, std::size_t host) const {
    const SegmentNode& node = nodes_[n];
    const std::int64_t part = node.kernel->part();
    const auto in = inputs(node);
    if (part <= 0 || grain % part != 0 || node.joined || node.before + node.after != 0 || node.scratch_bytes != 0 ||
        node.n_out != 1 || !is_temporary(outputs(node)[0]) || std::count(in.begin(), in.end(), in[0]) != 1)
      return false;
    return std::all_of(in.begin() + 1, in.end(), [&](std::uint32_t id) {
      if (id == SCF_NONE) return true;
      const std::uint32_t role = values_[id].role;
      return role == SCF_ROLE_INPUT || role == SCF_ROLE_WEIGHT || (role == SCF_ROLE_TEMP && made_before(host, id));
    });
  }

  /// Kernels that work row by row join the one that takes rows from them or gives them some; they become neighbours.
  void join_rows() {
    for (std::size_t n = 0; n < nodes_.size(); ++n) {
      if (const std::int64_t grain = nodes_[n].kernel->takes_before(); grain > 0 && !nodes_[n].joined)
        while (join_producer(n, n - nodes_[n].before, grain)) {
        }
      if (const std::int64_t grain = nodes_[n].kernel->takes_after(); grain > 0 && !nodes_[n].joined)
        while (join_reader(n, n + nodes_[n].after, grain)) {
        }
    }
  }
  /// What makes input 0 of `head`, the first of node n's neighbours or n itself.
  bool join_producer(std::size_t n, std::size_t head, std::int64_t grain) {
    const auto in = inputs(nodes_[head]);
    if (in.empty() || !is_temporary(in[0]) || std::count(in.begin(), in.end(), in[0]) != 1) return false;
    const std::uint32_t id = in[0];
    std::size_t p = head;
    while (p > 0 && (outputs(nodes_[p - 1]).empty() || outputs(nodes_[p - 1])[0] != id)) --p;
    if (p == 0 || !can_join(p - 1, grain, n)) return false;
    --p;
    for (std::size_t i = p + 1; i <= n; ++i)
      if (i != head && reads(i, id)) return false;
    std::rotate(nodes_.begin() + static_cast<std::ptrdiff_t>(p), nodes_.begin() + static_cast<std::ptrdiff_t>(p) + 1,
                nodes_.begin() + static_cast<std::ptrdiff_t>(head));
    nodes_[head - 1].joined = true;
    ++nodes_[n].before;
    return true;
  }
  /// What first reads output 0 of `tail`, the last of node n's neighbours or n itself.
  bool join_reader(std::size_t n, std::size_t tail, std::int64_t grain) {
    const auto out = outputs(nodes_[tail]);
    if (out.empty() || !is_temporary(out[0])) return false;
    const std::uint32_t id = out[0];
    std::size_t c = tail + 1;
    while (c < nodes_.size() && !reads(c, id)) ++c;
    if (c == nodes_.size() || inputs(nodes_[c])[0] != id || !can_join(c, grain, n)) return false;
    std::rotate(nodes_.begin() + static_cast<std::ptrdiff_t>(tail) + 1, nodes_.begin() + static_cast<std::ptrdiff_t>(c),
                nodes_.begin() + static_cast<std::ptrdiff_t>(c) + 1);
    nodes_[tail + 1].joined = true;
    ++nodes_[n].after;
    return true;
  }

  /// Who first reads what a node hands on row by row, and can take it then. Its scratch lives from there on.
  void find_early_readers() {
    for (std::size_t n = 0; n < nodes_.size(); ++n) {
      const std::int64_t grain = nodes_[n].kernel->takes_after();
      const auto out = outputs(nodes_[n + nodes_[n].after]);
      if (grain <= 0 || nodes_[n].joined || out.empty() || !is_temporary(out[0])) continue;
      std::size_t c = n + nodes_[n].after + 1;
      while (c < nodes_.size() && !reads(c, out[0])) ++c;
      if (c == nodes_.size() || inputs(nodes_[c])[0] != out[0] || nodes_[c].joined || nodes_[c].before != 0) continue;
      const std::int64_t part = nodes_[c].kernel->takes_early();
      if (part <= 0 || grain % part != 0) continue;
      nodes_[n].reader = static_cast<std::uint32_t>(c);
      nodes_[c].taken = true;
    }
  }

  /// The first node that wants a form of a temporary makes it, see Kernel::form; it lives until the last that does.
  void share_forms() {
    for (std::size_t n = 0; n < nodes_.size(); ++n) {
      const Kernel::Form form = nodes_[n].kernel->form();
      if (form.bytes == 0 || nodes_[n].joined) continue;
      const std::uint32_t value = inputs(nodes_[n])[0];
      auto same = forms_.end();
      if (is_temporary(value))
        same = std::find_if(forms_.begin(), forms_.end(),
                            [&](const SegmentForm& other) { return other.value == value && other.form == form; });
      nodes_[n].formed = same != forms_.end();
      if (!nodes_[n].formed) same = forms_.insert(forms_.end(), {value, form, n, n, 0});
      same->last = n;
      nodes_[n].form = static_cast<std::uint32_t>(same - forms_.begin());
    }
  }

  /// Results that take the memory of an input: the kernel can, and no later node reads the input.
  void share_memory() {
    std::vector<std::size_t> first(values_.size(), nodes_.size()), last(values_.size(), 0);
    for (std::size_t n = nodes_.size(); n-- > 0;)
      for (const std::uint32_t id : outputs(nodes_[n]))
        if (id != SCF_NONE) first[id] = n;
    for (std::size_t n = 0; n < nodes_.size(); ++n)
      for (const std::uint32_t id : inputs(nodes_[n]))
        if (id != SCF_NONE) last[id] = n;
    memory_.resize(values_.size());
    std::iota(memory_.begin(), memory_.end(), 0u);
    for (std::size_t n = 0; n < nodes_.size(); ++n) {
      const auto in = inputs(nodes_[n]), out = outputs(nodes_[n]);
      if (!nodes_[n].kernel->in_place() || in.empty() || out.empty() || in[0] == SCF_NONE || out[0] == SCF_NONE)
        continue;
      const SegmentValue &from = values_[in[0]], &to = values_[out[0]];
      if (from.role == SCF_ROLE_TEMP && to.role == SCF_ROLE_TEMP && from.bytes == to.bytes && last[in[0]] == n &&
          first[out[0]] == n && std::count(in.begin(), in.end(), in[0]) == 1 && first[in[0]] < n)
        memory_[out[0]] = memory_[in[0]];
    }
  }

  /// The phase of each node. A node opens a new phase when it touches what its phase has written or writes what its
  /// phase has read; nodes of one phase run without a barrier between them. Joined nodes count as one.
  std::vector<std::uint32_t> assign_phases() {
    constexpr std::uint32_t never = ~std::uint32_t{0};
    std::vector<std::uint32_t> read(values_.size(), never), written(values_.size(), never);
    std::vector<std::uint32_t> phases;
    std::uint32_t phase = 0;
    for (std::size_t n = 0; n < nodes_.size();) {
      std::size_t driver = n; // with what has joined it
      while (nodes_[driver].joined) ++driver;
      const std::size_t end = driver + nodes_[driver].after + 1;
      const auto made_here = [&](std::uint32_t id, std::size_t before) {
        for (std::size_t i = n; i < before; ++i) {
          const auto out = outputs(nodes_[i]);
          if (std::find(out.begin(), out.end(), id) != out.end()) return true;
        }
        return false;
      };
      bool barrier = false;
      for (std::size_t i = n; i < end; ++i) {
        for (const std::uint32_t id : inputs(nodes_[i]))
          barrier |= id != SCF_NONE && written[memory_[id]] == phase && !made_here(id, i);
        for (const std::uint32_t id : outputs(nodes_[i]))
          barrier |= id != SCF_NONE && (written[memory_[id]] == phase || read[memory_[id]] == phase);
      }
      nodes_[driver].barrier_before = barrier;
      if (barrier) {
        ++phase;
        ++barriers_;
      }
      for (; n < end; ++n) {
        for (const std::uint32_t id : inputs(nodes_[n]))
          if (id != SCF_NONE) read[memory_[id]] = phase;
        for (const std::uint32_t id : outputs(nodes_[n]))
          if (id != SCF_NONE) written[memory_[id]] = phase;
        phases.push_back(phase);
      }
    }
    return phases;
  }

  /// Scratch: the temporaries by lifetime, in phases, then the kernels' own, side by side within a phase.
  void place(const std::vector<std::uint32_t>& phases) {
    std::vector<Lifetime> lifetimes;
    std::vector<std::uint32_t> slot(values_.size(), SCF_NONE); // lifetime of each value
    for (std::size_t n = 0; n < nodes_.size(); ++n) {
      for (const std::uint32_t id : inputs(nodes_[n])) {
        if (id == SCF_NONE || values_[id].role != SCF_ROLE_TEMP) continue;
        if (slot[id] == SCF_NONE)
          throw Failure(SCF_INVALID_ARGUMENT, "temporary '" + values_[id].name + "' is read before it is written");
        lifetimes[slot[id]].last = phases[n];
      }
      for (const std::uint32_t id : outputs(nodes_[n])) {
        if (id == SCF_NONE || values_[id].role != SCF_ROLE_TEMP) continue;
        if (slot[id] == SCF_NONE) slot[id] = slot[memory_[id]];
        if (slot[id] == SCF_NONE) {
          slot[id] = static_cast<std::uint32_t>(lifetimes.size());
          lifetimes.push_back({values_[id].bytes, phases[n], phases[n], 0});
        }
        lifetimes[slot[id]].last = phases[n];
      }
    }
    std::vector<std::uint32_t> early(nodes_.size(), SCF_NONE); // lifetime of the scratch of early readers
    for (std::size_t n = 0; n < nodes_.size(); ++n) {
      const std::uint32_t reader = nodes_[n].reader;
      if (reader == SCF_NONE) continue;
      early[reader] = static_cast<std::uint32_t>(lifetimes.size());
      lifetimes.push_back({nodes_[reader].scratch_bytes, phases[n], phases[reader], 0});
    }
    const std::size_t first_form = lifetimes.size();
    for (const SegmentForm& form : forms_)
      lifetimes.push_back({form.form.bytes, phases[form.first], phases[form.last], 0});
    const std::uint64_t temporaries = plan_scratch(lifetimes, k_align);
    for (std::size_t f = 0; f < forms_.size(); ++f) forms_[f].scratch_offset = lifetimes[first_form + f].offset;
    for (std::size_t id = 0; id < values_.size(); ++id)
      if (slot[id] != SCF_NONE) values_[id].scratch_offset = lifetimes[slot[id]].offset;

    std::uint64_t in_phase = 0, most = 0;
    for (std::size_t n = 0; n < nodes_.size(); ++n) {
      SegmentNode& node = nodes_[n];
      if (node.barrier_before) in_phase = 0;
      if (early[n] != SCF_NONE) {
        node.scratch_offset = lifetimes[early[n]].offset;
        continue;
      }
      node.scratch_offset = temporaries + in_phase;
      in_phase += node.scratch_bytes;
      most = std::max(most, in_phase);
    }
    scratch_bytes_ = temporaries + most;
  }

  std::uint32_t workers_;
  std::vector<SegmentValue> values_;
  std::vector<SegmentNode> nodes_;
  std::vector<SegmentForm> forms_;
  std::vector<std::uint32_t> operands_;
  std::vector<std::uint32_t> memory_; // by value: the value whose memory it has, itself or another
  std::vector<SegmentSymbol> symbols_;
  std::uint64_t scratch_bytes_ = 0, barriers_ = 0;
};

} // namespace seacliff::sdk
