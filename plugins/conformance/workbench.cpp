#include "plugins/conformance/workbench.hpp"

#include <algorithm>
#include <cstring>

namespace seacliff::conform {
namespace {

constexpr std::byte k_sentinel{0xa5}, k_poison{0xff};
constexpr std::uint64_t k_least_zone = 256;

} // namespace

std::uint64_t to_ns(double seconds) { return static_cast<std::uint64_t>(seconds * 1e9); }

// ---- Transfer ------------------------------------------------------------------------------------------------------

Transfer::Transfer(std::shared_ptr<plugins::Device> device, double wait_s)
    : plugins::Transfer(std::move(device), to_ns(wait_s)), wait_s_(wait_s) {}

std::vector<std::byte> Transfer::read(plugins::Buffer& buffer, std::uint64_t offset, std::uint64_t bytes) {
  std::vector<std::byte> result(bytes);
  plugins::Transfer::read(buffer, offset, result);
  return result;
}

// ---- Operand -------------------------------------------------------------------------------------------------------

Operand::Operand(Transfer& transfer, const plugins::HeapInfo& heap, std::uint64_t bytes, std::uint64_t align)
    : zone_(std::max({align, heap.bind_align, k_least_zone})),
      buffer_(transfer.device().alloc(bytes + 2 * zone_, zone_, heap.id)), bytes_(bytes) {}

Operand::Operand(Transfer& transfer, std::uint64_t bytes) : Operand(transfer, transfer.heap(), bytes, 1) {}

Operand::Operand(Transfer& transfer, const scf_need& need)
    : Operand(transfer, transfer.device().info().heap(need.heap), need.bytes, need.align) {}

void Operand::put_image(Transfer& transfer, std::vector<std::byte> image) {
  std::fill_n(image.begin(), zone_, k_sentinel);
  std::fill_n(image.end() - static_cast<std::ptrdiff_t>(zone_), zone_, k_sentinel);
  transfer.write(buffer_, 0, image);
}

void Operand::put(Transfer& transfer, std::span<const std::byte> data) {
  std::vector<std::byte> image(bytes_ + 2 * zone_, k_poison);
  std::copy(data.begin(), data.end(), image.begin() + static_cast<std::ptrdiff_t>(zone_));
  put_image(transfer, std::move(image));
}

void Operand::poison(Transfer& transfer) { put_image(transfer, std::vector<std::byte>(bytes_ + 2 * zone_, k_poison)); }

std::optional<std::string> Operand::damage(Transfer& transfer) {
  const std::vector<std::byte> image = transfer.read(buffer_, 0, bytes_ + 2 * zone_);
  for (std::uint64_t i = 0; i < zone_; ++i) {
    if (image[i] != k_sentinel) return fmt::format("{} bytes before its beginning", zone_ - i);
    if (image[zone_ + bytes_ + i] != k_sentinel) return fmt::format("{} bytes behind its end", i);
  }
  return std::nullopt;
}

// ---- layouts -------------------------------------------------------------------------------------------------------

Repacked repack_weights(const plugins::Device& device, const ops::Case& test) {
  Repacked result{test, Layouts(test.inputs.size(), 0), false};
  if (!device.has_layouts()) return result;
  const ops::OneNodeGraph graph(test);
  for (std::size_t i = 0; i < test.inputs.size(); ++i) {
    if (!test.inputs[i].present() || test.inputs[i].role != SCF_ROLE_WEIGHT) continue;
    const scf_value& weight = graph.view().values[graph.inputs()[i]];
    const std::vector<plugins::LayoutInfo> layouts = device.layouts(weight);
    if (layouts.empty()) continue;
    std::uint64_t rows = 1;
    for (std::uint32_t axis = 0; axis + 1 < weight.rank; ++axis) rows *= static_cast<std::uint64_t>(weight.dims[axis]);
    std::vector<std::byte> packed(layouts.front().bytes);
    device.repack(weight, layouts.front().id, 0, rows, test.inputs[i].data.data(), packed.data());
    result.test.inputs[i].data = std::move(packed);
    result.layouts[i] = layouts.front().id;
    result.any = true;
  }
  return result;
}

// ---- Workpiece -----------------------------------------------------------------------------------------------------

Workpiece::Workpiece(Transfer& transfer, const plugins::HostServices& host, const ops::Case& test,
                     std::int64_t max_tokens, const Layouts& layouts)
    : transfer_(transfer), test_(test), graph_(test, max_tokens, host.op_id(test.op)),
      values_(graph_.view().values, graph_.view().values + graph_.view().n_values), view_(graph_.view()),
      out_types_(ops::output_types(test)) {
  view_.values = values_.data();
  for (std::size_t i = 0; i < layouts.size(); ++i)
    if (layouts[i] != 0) values_[graph_.inputs()[i]].layout = layouts[i];
  const ops::Schema& schema = *ops::find_schema(test.op);
  for (std::size_t i = 0; i < test.inputs.size(); ++i) {
    const ops::CaseValue& value = test.inputs[i];
    if (value.present())
      bound_.push_back({graph_.inputs()[i], value.role, std::string(schema.inputs[i]), &value,
                        std::make_unique<Operand>(transfer, value.data.size())});
  }
  for (std::size_t o = 0; o < out_types_.size(); ++o)
    if (schema.alias_of(o) < 0)
      bound_.push_back({graph_.outputs()[o], SCF_ROLE_OUTPUT, std::string(schema.outputs[o]), nullptr,
                        std::make_unique<Operand>(transfer, out_types_[o].max_bytes())});
  program_ = transfer.device().compile(view_);
  for (const scf_need& need : program_->requirements().needs)
    needs_.push_back(std::make_unique<Operand>(transfer, need));
  exec_ = program_->instantiate(fixed(), needs());
  queue_ = transfer.device().create_queue();
  done_ = transfer.device().create_semaphore();
}

std::vector<scf_binding> Workpiece::io() const {
  std::vector<scf_binding> list;
  for (const Bound& b : bound_)
    if (b.role == SCF_ROLE_INPUT || b.role == SCF_ROLE_OUTPUT) list.push_back({b.value, 0, b.operand->slice()});
  return list;
}

std::vector<scf_binding> Workpiece::fixed() const {
  std::vector<scf_binding> list;
  for (const Bound& b : bound_)
    if (b.role == SCF_ROLE_WEIGHT || b.role == SCF_ROLE_STATE) list.push_back({b.value, 0, b.operand->slice()});
  return list;
}

std::vector<scf_slice> Workpiece::needs() const {
  std::vector<scf_slice> list;
  for (const auto& need : needs_) list.push_back(need->slice());
  return list;
}

std::vector<scf_dim> Workpiece::dims() const { return {{ops::k_case_tokens, 0, test_.tokens}}; }

void Workpiece::reset() {
  for (Bound& b : bound_) {
    if (b.given != nullptr)
      b.operand->put(transfer_, b.given->data);
    else
      b.operand->poison(transfer_);
  }
  for (const auto& need : needs_) need->poison(transfer_);
}

void Workpiece::submit(std::span<const scf_wait> waits, std::span<const scf_wait> signals) {
  const std::vector<scf_binding> bindings = io();
  const std::vector<scf_dim> symbols = dims();
  queue_.submit(exec_, symbols, bindings, waits, signals);
}

void Workpiece::run() {
  const scf_wait done = done_.at(++submits_);
  submit({}, {&done, 1});
  done_.wait(submits_, to_ns(transfer_.wait_s()));
}

ops::Outputs Workpiece::outputs() {
  ops::Outputs results;
  for (std::size_t o = 0; o < out_types_.size(); ++o) {
    const std::uint32_t id = graph_.outputs()[o];
    const auto bound = std::find_if(bound_.begin(), bound_.end(), [&](const Bound& b) { return b.value == id; });
    results.push_back({out_types_[o], bound->role, bound->operand->get(transfer_)});
  }
  return results;
}

std::vector<Finding> Workpiece::damage() {
  std::vector<Finding> found;
  for (Bound& b : bound_) {
    if (const auto where = b.operand->damage(transfer_))
      found.push_back({"bounds", fmt::format("the device wrote beyond '{}': {}", b.name, *where)});
    const bool may_change = b.given == nullptr || (b.role == SCF_ROLE_STATE && b.name.ends_with('!'));
    if (!may_change && b.operand->get(transfer_) != b.given->data)
      found.push_back({"inputs", fmt::format("the device changed its input '{}'", b.name)});
  }
  for (const auto& need : needs_)
    if (const auto where = need->damage(transfer_))
      found.push_back({"bounds", fmt::format("the device wrote beyond the memory it asked for: {}", *where)});
  return found;
}

// ---- claims --------------------------------------------------------------------------------------------------------

Answer ask(Trial& trial, const plugins::Device& device, const scf_graph_view& view) {
  const std::vector<plugins::ClaimInfo> claims = device.propose(view);
  if (claims.size() != 1 || claims[0].nodes != std::vector<std::uint32_t>{view.nodes->id}) {
    trial.stop("claim", fmt::format("propose gives {} claims for one node", claims.size()));
  }
  const plugins::ClaimInfo& claim = claims.front();
  trial.expect(claim.level <= SCF_CLAIM_PREFERRED, "claim", "propose gives a level that does not exist");
  trial.expect(claim.level != SCF_CLAIM_NO || !claim.reason.empty(), "claim",
               "propose declines the node without a reason");
  return {claim.level, claim.reason};
}

const ops::Case* claimed_case(const plugins::Device& device, const plugins::HostServices& host) {
  static std::vector<std::unique_ptr<ops::Case>> kept; // making the cases of an op takes half a second
  const auto claims = [&](const ops::Case& test) {
    const ops::OneNodeGraph graph(test, 0, host.op_id(test.op));
    const auto answers = device.propose(graph.view());
    return answers.size() == 1 && answers.front().level != SCF_CLAIM_NO;
  };
  for (const auto& test : kept)
    if (claims(*test)) return test.get();
  // What every backend begins with, then the rest of the catalogue.
  std::vector<std::string> names{"add", "matmul", "rms_norm", "swiglu"};
  for (const ops::Schema& schema : ops::catalogue()) names.emplace_back(schema.name);
  for (const std::string& op : names)
    for (ops::Case& test : ops::cases_for(op)) {
      if (!claims(test)) continue;
      kept.push_back(std::make_unique<ops::Case>(std::move(test)));
      return kept.back().get();
    }
  return nullptr;
}

} // namespace seacliff::conform
