// A program with its memory, and the table of entries. What a step is given is copied to the device, computed, copied
// back.
#pragma once

#include "program.hpp"

namespace device {

/// What a submit says, kept: its arrays live for the call only, and the queue runs later.
struct Step {
  std::vector<scf_dim> dims;
  std::vector<scf_binding> io;
  std::vector<scf_wait> waits, signals;

  explicit Step(const scf_submit& from)
      : dims(from.dims, from.dims + from.n_dims), io(from.io, from.io + from.n_io),
        waits(from.waits, from.waits + from.n_waits), signals(from.signals, from.signals + from.n_signals) {}

  scf_submit view() const {
    scf_submit submit{
        header<scf_submit>(SCF_KIND_SUBMIT), dims.data(), dims.size(), io.data(), io.size(), nullptr, 0, nullptr, 0};
    submit.waits = waits.data();
    submit.n_waits = waits.size();
    submit.signals = signals.data();
    submit.n_signals = signals.size();
    return submit;
  }
};

/// A program with its memory. Everything is allocated in the constructor; run() copies and computes.
class Exec {
public:
  Exec(const Program& program, const scf_bindings& bindings)
      : program_(program), arena_(memory_of(reinterpret_cast<scf_device*>(program.device)), program.arena_bytes),
        weights_(program.segment.values().size()) {
    for (std::uint64_t i = 0; i < bindings.n_items; ++i) bind_weight(bindings.items[i]);
    make_tensors();
  }

  static Exec* of(scf_exec* handle) { return reinterpret_cast<Exec*>(handle); }
  scf_exec* handle() { return reinterpret_cast<scf_exec*>(this); }

  /// On the queue's thread. Throws Failure that names what is missing.
  void run(const Step& step) {
    bind_symbols(step);
    require_io(step);
    fill_weights();
    for (const scf_binding& io : step.io) move(io, SCF_ROLE_INPUT);
    for (std::size_t i = 0; i < program_.launches(); ++i) program_.launch(i, calls_, arena_.address());
    for (const scf_binding& io : step.io) move(io, SCF_ROLE_OUTPUT);
  }

private:
  const SegmentValue& value(std::uint32_t id) const {
    const auto& values = program_.segment.values();
    if (id >= values.size()) throw Failure(SCF_INVALID_ARGUMENT, "a binding names no value of the segment");
    return values[id];
  }

  void bind_weight(const scf_binding& binding) {
    const SegmentValue& weight = value(binding.value);
    if (!weight.used) return;
    if (binding.slice.bytes < weight.bytes) throw too_small(weight);
    Buffer& buffer = Buffer::of(binding.slice);
    Weight& bound = weights_[binding.value];
    if (buffer.block != nullptr) { // in device memory already
      bound.address = buffer.block->address() + binding.slice.offset;
      return;
    }
    bound.copy =
        buffer.copy_of(memory_of(reinterpret_cast<scf_device*>(program_.device)), binding.slice.offset, weight.bytes);
    bound.address = bound.copy->block.address();
    bound.source = buffer.data + binding.slice.offset;
    bound.bytes = weight.bytes;
  }

  void fill_weights() {
    for (const Weight& weight : weights_)
      if (weight.copy != nullptr)
        std::call_once(weight.copy->filled, [&] { weight.copy->block.upload(0, weight.source, weight.bytes); });
  }

  std::byte* address(std::uint32_t id) const {
    const SegmentValue& v = value(id);
    if (v.role == SCF_ROLE_TEMP || Program::is_io(v)) return arena_.address() + program_.offset[id];
    if (weights_[id].address == nullptr) throw Failure(SCF_INVALID_ARGUMENT, "nothing is bound to '" + v.name + "'");
    return weights_[id].address;
  }

  void make_tensors() {
    for (const std::uint32_t id : program_.segment.operands()) {
      Tensor tensor;
      if (id != SCF_NONE) {
        tensor = {address(id), value(id).dtype, value(id).rank, {}};
        std::copy_n(value(id).dims, tensor.rank, tensor.dims);
      }
      tensors_.push_back(tensor);
    }
    for (const SegmentNode& node : program_.segment.nodes()) {
      const std::span all(tensors_.data() + node.first_operand, node.n_in + node.n_out);
      calls_.push_back({all.first(node.n_in), all.subspan(node.n_in),
                        std::span(arena_.address() + program_.scratch_offset(node), node.scratch_bytes)});
    }
  }

  /// The values that symbols have in this step go into the tensors.
  void bind_symbols(const Step& step) {
    for (const SegmentSymbol& symbol : program_.segment.symbols()) {
      const auto found =
          std::find_if(step.dims.begin(), step.dims.end(), [&](const scf_dim& dim) { return dim.sym == symbol.sym; });
      if (found == step.dims.end() || found->value < 0 || found->value > symbol.max)
        throw Failure(SCF_INVALID_ARGUMENT, "symbol " + std::to_string(symbol.sym) + " has no value in its range");
      const auto& operands = program_.segment.operands();
      for (std::size_t i = 0; i < operands.size(); ++i)
        for (std::uint32_t axis = 0; axis < tensors_[i].rank; ++axis)
          if (value(operands[i]).syms[axis] == symbol.sym) tensors_[i].dims[axis] = found->value;
    }
  }

  void require_io(const Step& step) const {
    const auto& values = program_.segment.values();
    for (std::uint32_t id = 0; id < values.size(); ++id) {
      const auto binds = [&](const scf_binding& io) { return io.value == id; };
      if (values[id].used && Program::is_io(values[id]) && std::none_of(step.io.begin(), step.io.end(), binds))
        throw Failure(SCF_INVALID_ARGUMENT, "nothing is bound to '" + values[id].name + "'");
    }
  }

  /// Inputs to the device, outputs back: as many bytes as the value has in this step.
  void move(const scf_binding& io, std::uint32_t role) {
    const SegmentValue& v = value(io.value);
    if (v.role != role || !v.used) return;
    const auto& operands = program_.segment.operands();
    const auto operand = std::find(operands.begin(), operands.end(), io.value) - operands.begin();
    const Tensor& tensor = tensors_[static_cast<std::size_t>(operand)];
    const std::uint64_t bytes = static_cast<std::uint64_t>(tensor.rows()) * tensor.row_stride();
    if (io.slice.bytes < bytes) throw too_small(v);
    if (bytes == 0) return;
    Buffer& buffer = Buffer::of(io.slice);
    std::byte* there = (buffer.data != nullptr ? buffer.data : buffer.block->address()) + io.slice.offset;
    if (role == SCF_ROLE_INPUT)
      arena_.upload(program_.offset[io.value], there, bytes);
    else
      arena_.download(program_.offset[io.value], there, bytes);
  }

  static Failure too_small(const SegmentValue& v) {
    return Failure(SCF_INVALID_ARGUMENT, "the slice bound to '" + v.name + "' is too small");
  }

  struct Weight {
    std::byte* address = nullptr;
    std::shared_ptr<WeightCopy> copy; // of what lies at `source`; nullptr: used where it is
    const std::byte* source = nullptr;
    std::uint64_t bytes = 0;
  };
  const Program& program_;
  Block arena_;
  std::vector<Weight> weights_; // by value
  std::vector<Tensor> tensors_; // by operand
  std::vector<KernelCall> calls_;
};

// ---- the entries of scf_program_api ---------------------------------------------------------------------------------

inline scf_status* compile(scf_device* handle, const scf_graph_view* graph, const scf_kv* pairs, std::uint32_t count,
                           scf_program** out) {
  tables::DeviceObject* device = tables::DeviceObject::of(handle);
  return guard(device->host(), [&] {
    const Options none(pairs, count, {});
    *out = reinterpret_cast<scf_program*>(new Program(device, *graph));
  });
}

/// Asked before anything is allocated, so that a plan can say "does not fit" without touching the device.
inline scf_status* requirements(scf_program* handle, scf_requirements* out) {
  const Program* program = Program::of(handle);
  scf_requirements need{};
  need.staging_bytes = program->arena_bytes + program->weight_bytes;
  need.launches = program->launches();
  write_struct(out, need);
  return nullptr;
}

inline scf_status* instantiate(scf_program* handle, const scf_bindings* bindings, scf_exec** out) {
  const Program* program = Program::of(handle);
  return guard(program->device->host(), [&] { *out = (new Exec(*program, read_struct(bindings)))->handle(); });
}

inline void exec_free(scf_exec* handle) { delete Exec::of(handle); }
inline void program_free(scf_program* handle) { delete Program::of(handle); }

inline constexpr scf_program_api k_program{header<scf_program_api>(SCF_KIND_PROGRAM_API),
                                           propose,
                                           compile,
                                           requirements,
                                           instantiate,
                                           exec_free,
                                           program_free};

} // namespace device
