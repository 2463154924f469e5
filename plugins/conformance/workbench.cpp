#include "plugins/conformance/workbench.hpp"

#include "plugins/loader/tables.hpp"

#include <algorithm>
#include <cstring>

namespace seacliff::conform {
namespace {

constexpr std::byte k_sentinel{0xa5}, k_poison{0xff};

} // namespace

std::uint64_t to_ns(double seconds) { return static_cast<std::uint64_t>(seconds * 1e9); }

// ---- Transfer ------------------------------------------------------------------------------------------------------

Transfer::Transfer(std::shared_ptr<plugins::Device> device, double wait_s)
    : device_(std::move(device)), wait_s_(wait_s) {
  if (device_->info().heaps.empty()) throw Error(Code::internal, "the device is usable and has no heap");
}

bool Transfer::mappable() const { return heap().mappable() && device_->tables().memory.map != nullptr; }

plugins::Buffer Transfer::staging(std::uint64_t bytes) {
  if (device_->tables().memory.map != nullptr)
    for (const plugins::HeapInfo& candidate : device_->info().heaps)
      if (candidate.mappable()) return device_->alloc(bytes, 64, candidate.id);
  throw Error(Code::unimplemented, "the device has no heap that can be mapped: there is no way in or out");
}

void Transfer::copy(scf_slice dst, scf_slice src) {
  if (!has_queue_) {
    queue_ = device_->create_queue();
    copied_ = device_->create_semaphore();
    has_queue_ = true;
  }
  const scf_wait signal = copied_.at(++copies_);
  if (!queue_.copy(dst, src, {}, {&signal, 1}))
    throw Error(Code::unimplemented, "the device has neither mappable memory nor copies");
  copied_.wait(copies_, to_ns(wait_s_));
}

void Transfer::write(plugins::Buffer& buffer, std::uint64_t offset, std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  if (mappable()) {
    std::memcpy(buffer.map() + offset, bytes.data(), bytes.size());
    buffer.flush(offset, bytes.size());
    return;
  }
  plugins::Buffer between = staging(bytes.size());
  std::memcpy(between.map(), bytes.data(), bytes.size());
  between.flush(0, bytes.size());
  copy(buffer.slice(offset, bytes.size()), between.slice());
}

std::vector<std::byte> Transfer::read(plugins::Buffer& buffer, std::uint64_t offset, std::uint64_t bytes) {
  std::vector<std::byte> result(bytes);
  if (bytes == 0) return result;
  if (mappable()) {
    buffer.invalidate(offset, bytes);
    std::memcpy(result.data(), buffer.map() + offset, bytes);
    return result;
  }
  plugins::Buffer between = staging(bytes);
  copy(between.slice(), buffer.slice(offset, bytes));
  between.invalidate(0, bytes);
  std::memcpy(result.data(), between.map(), bytes);
  return result;
}

// ---- Operand -------------------------------------------------------------------------------------------------------

Operand::Operand(Transfer& transfer, std::uint64_t bytes)
    : buffer_(transfer.device().alloc(bytes + 2 * k_zone, std::max<std::uint64_t>(transfer.heap().align, k_zone),
                                      transfer.heap().id)),
      bytes_(bytes) {}

void Operand::put_image(Transfer& transfer, std::vector<std::byte> image) {
  std::fill_n(image.begin(), k_zone, k_sentinel);
  std::fill_n(image.end() - static_cast<std::ptrdiff_t>(k_zone), k_zone, k_sentinel);
  transfer.write(buffer_, 0, image);
}

void Operand::put(Transfer& transfer, std::span<const std::byte> data) {
  std::vector<std::byte> image(bytes_ + 2 * k_zone, k_poison);
  std::copy(data.begin(), data.end(), image.begin() + static_cast<std::ptrdiff_t>(k_zone));
  put_image(transfer, std::move(image));
}

void Operand::poison(Transfer& transfer) { put_image(transfer, std::vector<std::byte>(bytes_ + 2 * k_zone, k_poison)); }

std::optional<std::string> Operand::damage(Transfer& transfer) {
  const std::vector<std::byte> image = transfer.read(buffer_, 0, bytes_ + 2 * k_zone);
  for (std::uint64_t i = 0; i < k_zone; ++i) {
    if (image[i] != k_sentinel) return fmt::format("{} bytes before its beginning", k_zone - i);
    if (image[k_zone + bytes_ + i] != k_sentinel) return fmt::format("{} bytes behind its end", i);
  }
  return std::nullopt;
}

// ---- Workpiece -----------------------------------------------------------------------------------------------------

Workpiece::Workpiece(Transfer& transfer, const plugins::HostServices& host, const ops::Case& test,
                     std::int64_t max_tokens, std::uint32_t layout)
    : transfer_(transfer), test_(test), graph_(test, max_tokens, host.op_id(test.op)),
      values_(graph_.view().values, graph_.view().values + graph_.view().n_values), view_(graph_.view()),
      out_types_(ops::output_types(test)) {
  view_.values = values_.data();
  if (layout != 0) values_[graph_.inputs()[1]].layout = layout;
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
  if (const std::uint64_t need = program_->requirements().scratch_bytes; need != 0)
    scratch_ = std::make_unique<Operand>(transfer, need);
  exec_ = program_->instantiate(fixed(), scratch_slice());
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

std::vector<scf_dim> Workpiece::dims() const { return {{ops::k_case_tokens, 0, test_.tokens}}; }

void Workpiece::reset() {
  for (Bound& b : bound_) {
    if (b.given != nullptr)
      b.operand->put(transfer_, b.given->data);
    else
      b.operand->poison(transfer_);
  }
  if (scratch_) scratch_->poison(transfer_);
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
  if (scratch_)
    if (const auto where = scratch_->damage(transfer_))
      found.push_back({"bounds", fmt::format("the device wrote beyond the scratch it asked for: {}", *where)});
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
  static std::vector<std::unique_ptr<ops::Case>> kept;
  // What every backend begins with, then the rest of the catalogue.
  std::vector<std::string> names{"add", "matmul", "rms_norm", "swiglu"};
  for (const ops::Schema& schema : ops::catalogue()) names.emplace_back(schema.name);
  for (const std::string& op : names)
    for (ops::Case& test : ops::cases_for(op)) {
      const ops::OneNodeGraph graph(test, 0, host.op_id(op));
      const auto claims = device.propose(graph.view());
      if (claims.size() != 1 || claims.front().level == SCF_CLAIM_NO) continue;
      kept.push_back(std::make_unique<ops::Case>(std::move(test)));
      return kept.back().get();
    }
  return nullptr;
}

} // namespace seacliff::conform
