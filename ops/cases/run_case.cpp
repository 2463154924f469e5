#include "ops/cases/run_case.hpp"

#include <algorithm>
#include <barrier>
#include <cstring>
#include <memory>
#include <thread>
#include <utility>

namespace seacliff::ops {
namespace {

constexpr int k_rubbish = 0xff; // NaN as f32, -1 as i32

std::string_view plain(std::string_view operand) {
  if (operand.ends_with('?') || operand.ends_with('!')) operand.remove_suffix(1);
  return operand;
}

scf_kv to_kv(const std::string& key, const AttrValue& value) {
  scf_kv kv{};
  kv.key = sdk::str(key);
  if (const auto* i = std::get_if<std::int64_t>(&value)) {
    kv.type = SCF_KV_INT;
    kv.v.i = *i;
  } else if (const auto* f = std::get_if<double>(&value)) {
    kv.type = SCF_KV_FLOAT;
    kv.v.f = *f;
  } else {
    kv.type = SCF_KV_STR;
    kv.v.s = sdk::str(std::get<std::string>(value));
  }
  return kv;
}

sdk::Tensor tensor_of(CaseValue& value) {
  sdk::Tensor tensor;
  if (!value.present()) return tensor;
  tensor.data = value.data.data();
  tensor.dtype = value.type.dtype;
  tensor.rank = static_cast<std::uint32_t>(value.type.dims.size());
  for (std::size_t i = 0; i < value.type.dims.size(); ++i) tensor.dims[i] = value.type.dims[i].max;
  return tensor;
}

void run_team(const sdk::Kernel& kernel, const sdk::KernelCall& call, std::uint32_t workers) {
  std::barrier meeting(static_cast<std::ptrdiff_t>(workers));
  const auto meet = [](scf_worker* worker) { static_cast<std::barrier<>*>(worker->team)->arrive_and_wait(); };
  const auto body = [&](std::uint32_t index) {
    scf_worker worker{index, workers, &meeting};
    kernel.run(call, sdk::Worker(&worker, meet));
  };
  std::vector<std::thread> team;
  for (std::uint32_t i = 1; i < workers; ++i) team.emplace_back(body, i);
  body(0);
  for (std::thread& thread : team) thread.join();
}

struct alignas(64) Line {
  std::byte bytes[64];
};

/// Executes nodes as they are emitted.
class Interpreter final : public Emitter {
public:
  Interpreter(std::span<const sdk::KernelEntry> kernels, const Case& test, std::uint32_t workers)
      : kernels_(kernels), tokens_(test.tokens), workers_(workers), values_(test.inputs) {}

  const ValueType& type(ValueId value) const override { return values_.at(value).type; }

  std::vector<ValueId> add(std::string_view op, std::vector<ValueId> in, Attrs attrs,
                           std::string_view suffix) override {
    return add_into(op, std::move(in), {}, std::move(attrs), suffix);
  }

  std::vector<ValueId> add_into(std::string_view op, std::vector<ValueId> in, std::vector<ValueId> out, Attrs attrs,
                                std::string_view suffix) override {
    Case step{std::string(op), std::string(suffix), std::move(attrs), tokens_, {}};
    for (const ValueId id : in) step.inputs.push_back(id == k_none ? CaseValue{} : values_.at(id));
    const auto kernel = std::ranges::find(kernels_, op, &sdk::KernelEntry::op);
    if (kernel == kernels_.end()) throw Error(Code::not_found, fmt::format("there is no kernel for '{}'", op));
    Outputs results = run_kernel(*kernel, step, workers_);
    steps[step.name] = results;
    out.resize(results.size(), k_none);
    for (std::size_t o = 0; o < results.size(); ++o) {
      const int alias = find_schema(op)->alias_of(o);
      if (alias >= 0) out[o] = in[static_cast<std::size_t>(alias)];
      if (out[o] == k_none) out[o] = reserve();
      values_.at(out[o]) = std::move(results[o]);
    }
    return out;
  }

  ValueId reserve() {
    values_.emplace_back();
    return static_cast<ValueId>(values_.size() - 1);
  }
  const CaseValue& value(ValueId id) const { return values_.at(id); }

  std::map<std::string, Outputs, std::less<>> steps;

private:
  std::span<const sdk::KernelEntry> kernels_;
  std::int64_t tokens_;
  std::uint32_t workers_;
  std::vector<CaseValue> values_;
};

} // namespace

std::uint32_t OneNodeGraph::add_value(const ValueType& type, std::uint32_t role, std::string name,
                                      std::int64_t max_tokens) {
  scf_value value{};
  value.id = static_cast<std::uint32_t>(values_.size());
  value.dtype = static_cast<std::uint32_t>(type.dtype);
  value.rank = static_cast<std::uint32_t>(type.dims.size());
  value.role = role;
  for (std::size_t i = 0; i < type.dims.size(); ++i) {
    value.dims[i] = type.dims[i].sym != 0 ? std::max(max_tokens, type.dims[i].max) : type.dims[i].max;
    value.dim_sym[i] = type.dims[i].sym;
  }
  names_.push_back(std::move(name));
  value.name = sdk::str(names_.back());
  values_.push_back(value);
  return value.id;
}

OneNodeGraph::OneNodeGraph(const Case& test, std::int64_t max_tokens, std::uint32_t op_id) : test_(test) {
  const std::vector<ValueType> results = output_types(test);
  const Schema& schema = *find_schema(test.op);
  names_.reserve(test.inputs.size() + results.size()); // scf_str points into it
  for (std::size_t i = 0; i < test.inputs.size(); ++i) {
    const CaseValue& value = test.inputs[i];
    in_.push_back(value.present() ? add_value(value.type, value.role, std::string(plain(schema.inputs[i])), max_tokens)
                                  : SCF_NONE);
  }
  for (std::size_t o = 0; o < results.size(); ++o) {
    const int alias = schema.alias_of(o);
    out_.push_back(alias >= 0
                       ? in_[static_cast<std::size_t>(alias)]
                       : add_value(results[o], SCF_ROLE_OUTPUT, fmt::format("out.{}", schema.outputs[o]), max_tokens));
  }
  for (const auto& [key, value] : test.attrs.items()) attrs_.push_back(to_kv(key, value));
  node_.op = op_id;
  node_.n_in = static_cast<std::uint32_t>(in_.size());
  node_.n_out = static_cast<std::uint32_t>(out_.size());
  node_.n_attr = static_cast<std::uint32_t>(attrs_.size());
  node_.in = in_.data();
  node_.out = out_.data();
  node_.attr = attrs_.data();
  node_.name = sdk::str(test.name);
  view_.h = {sizeof(scf_graph_view), SCF_KIND_GRAPH_VIEW, nullptr};
  view_.n_values = static_cast<std::uint32_t>(values_.size());
  view_.value_stride = sizeof(scf_value);
  view_.n_nodes = 1;
  view_.node_stride = sizeof(scf_node);
  view_.values = values_.data();
  view_.nodes = &node_;
}

namespace {

/// Memory for a kernel, with rubbish in it and behind it.
class Room {
public:
  explicit Room(std::uint64_t bytes) : bytes_(bytes), lines_(bytes / sizeof(Line) + 1) {
    std::memset(static_cast<void*>(lines_.data()), k_rubbish, lines_.size() * sizeof(Line));
  }
  std::span<std::byte> memory() { return {lines_.front().bytes, bytes_}; }
  bool overrun() const {
    const auto* begin = lines_.front().bytes;
    return std::any_of(begin + bytes_, begin + lines_.size() * sizeof(Line),
                       [](std::byte b) { return b != std::byte{k_rubbish}; });
  }

private:
  std::uint64_t bytes_;
  std::vector<Line> lines_;
};

/// `in_place`: output 0 is written over input 0.
Outputs run_made(const sdk::Kernel& kernel, const Case& test, std::uint32_t workers, bool in_place) {
  const Schema& schema = *find_schema(test.op);
  std::vector<CaseValue> inputs = test.inputs;
  Outputs outputs;
  for (const ValueType& type : output_types(test)) {
    outputs.push_back({type, SCF_ROLE_OUTPUT, std::vector<std::byte>(type.max_bytes())});
    std::memset(outputs.back().data.data(), k_rubbish, outputs.back().data.size());
  }
  std::vector<sdk::Tensor> in, out;
  for (CaseValue& value : inputs) in.push_back(tensor_of(value));
  for (std::size_t o = 0; o < outputs.size(); ++o) {
    const int alias = schema.alias_of(o);
    out.push_back(alias >= 0 ? in[static_cast<std::size_t>(alias)] : tensor_of(outputs[o]));
  }
  if (in_place) out[0].data = in[0].data;
  Room scratch(kernel.scratch_bytes(workers)), form(kernel.form().bytes);
  std::vector<sdk::Ticket> tickets(kernel.tickets());
  sdk::KernelCall call{in, out, scratch.memory(), tickets.data()};
  call.form = form.memory().data();
  run_team(kernel, call, workers);
  if (scratch.overrun() || form.overrun())
    throw Error(Code::internal, fmt::format("{} '{}': the kernel wrote behind its scratch", test.op, test.name));

  for (std::size_t o = 0; o < outputs.size(); ++o)
    if (const int alias = schema.alias_of(o); alias >= 0) {
      CaseValue& state = inputs[static_cast<std::size_t>(alias)];
      outputs[o].data = state.data;
      outputs[o].role = SCF_ROLE_STATE;
      state.data = test.inputs[static_cast<std::size_t>(alias)].data; // allowed to change
    }
  if (in_place) outputs[0].data = std::exchange(inputs[0].data, test.inputs[0].data);
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (!inputs[i].same_data(test.inputs[i]))
      throw Error(Code::internal,
                  fmt::format("{} '{}': the kernel wrote into its input '{}'", test.op, test.name, schema.inputs[i]));
  return outputs;
}

} // namespace

Outputs run_kernel(const sdk::KernelEntry& kernel, const Case& test, std::uint32_t workers) {
  const OneNodeGraph graph(test);
  const sdk::Claim claim = kernel.claim(graph.node());
  if (claim.level == SCF_CLAIM_NO)
    throw Error(Code::unimplemented, fmt::format("{} '{}' is not claimed: {}", test.op, test.name, claim.reason));
  const std::unique_ptr<sdk::Kernel> made = kernel.make(graph.node());
  Outputs outputs = run_made(*made, test, workers, false);
  if (made->in_place()) {
    const Outputs again = run_made(*made, test, workers, true);
    for (std::size_t o = 0; o < outputs.size(); ++o)
      if (!again[o].same_data(outputs[o]))
        throw Error(Code::internal, fmt::format("{} '{}': another result in place", test.op, test.name));
  }
  return outputs;
}

Decomposed run_decomposed(std::span<const sdk::KernelEntry> kernels, const Case& test, std::uint32_t workers) {
  const Schema* schema = find_schema(test.op);
  if (schema == nullptr || !schema->composite())
    throw Error(Code::invalid_argument, fmt::format("'{}' is no composite op", test.op));
  Interpreter run(kernels, test, workers);
  NodeDesc node{test.op, test.name, {}, {}, test.attrs};
  for (std::size_t i = 0; i < test.inputs.size(); ++i)
    node.in.push_back(test.inputs[i].present() ? static_cast<ValueId>(i) : k_none);
  for (std::size_t o = 0; o < schema->outputs.size(); ++o) {
    const int alias = schema->alias_of(o);
    node.out.push_back(alias >= 0 ? node.in[static_cast<std::size_t>(alias)] : run.reserve());
  }
  schema->decompose(node, run);
  Decomposed result;
  for (const ValueId id : node.out) result.outputs.push_back(run.value(id));
  result.steps = std::move(run.steps);
  return result;
}

} // namespace seacliff::ops
