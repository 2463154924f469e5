// A program with its memory, and the table of entries. Everything it is given lies on the device already: the host has
// brought it there.
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

/// A program with its memory: weights, states and scratch are fixed, inputs and outputs come with each step.
class Exec {
public:
  Exec(const Program& program, const scf_bindings& bindings)
      : program_(program), address_(program.segment.values().size()) {
    const scf_slice scratch = bindings.n_needs != 0 ? bindings.needs[0] : scf_slice{};
    if (scratch.bytes < program.scratch.bytes) throw Failure(SCF_INVALID_ARGUMENT, "the scratch is too small");
    scratch_ = Buffer::device_address(scratch);
    for (std::uint64_t i = 0; i < bindings.n_items; ++i) bind(bindings.items[i], value(bindings.items[i].value).bytes);
    make_tensors();
  }

  static Exec* of(scf_exec* handle) { return reinterpret_cast<Exec*>(handle); }
  scf_exec* handle() { return reinterpret_cast<scf_exec*>(this); }

  /// On the queue's thread. Throws Failure that names what is missing.
  void run(const Step& step) {
    bind_symbols(step);
    bind_io(step);
    for (std::size_t i = 0; i < program_.launches(); ++i) program_.launch(i, calls_, scratch_);
  }

private:
  const SegmentValue& value(std::uint32_t id) const {
    const auto& values = program_.segment.values();
    if (id >= values.size()) throw Failure(SCF_INVALID_ARGUMENT, "a binding names no value of the segment");
    return values[id];
  }

  void bind(const scf_binding& binding, std::uint64_t bytes) {
    if (binding.slice.bytes < bytes)
      throw Failure(SCF_INVALID_ARGUMENT, "the slice bound to '" + value(binding.value).name + "' is too small");
    address_[binding.value] = Buffer::device_address(binding.slice);
  }

  void make_tensors() {
    for (const std::uint32_t id : program_.segment.operands()) {
      Tensor tensor;
      if (id != SCF_NONE) {
        const SegmentValue& v = value(id);
        if (v.role == SCF_ROLE_TEMP) address_[id] = scratch_ + program_.offset(id);
        if (address_[id] == nullptr && !Program::is_io(v))
          throw Failure(SCF_INVALID_ARGUMENT, "nothing is bound to '" + v.name + "'");
        tensor = {address_[id], v.dtype, v.rank, {}};
        std::copy_n(v.dims, tensor.rank, tensor.dims);
      }
      tensors_.push_back(tensor);
    }
    for (const SegmentNode& node : program_.segment.nodes()) {
      const std::span all(tensors_.data() + node.first_operand, node.n_in + node.n_out);
      calls_.push_back({all.first(node.n_in), all.subspan(node.n_in),
                        std::span(scratch_ + program_.scratch_offset(node), node.scratch_bytes)});
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

  /// Inputs and outputs, each large enough for what the value has in this step.
  void bind_io(const Step& step) {
    const auto& operands = program_.segment.operands();
    for (std::size_t i = 0; i < operands.size(); ++i) {
      const std::uint32_t id = operands[i];
      if (id == SCF_NONE || !Program::is_io(value(id))) continue;
      const auto found =
          std::find_if(step.io.begin(), step.io.end(), [&](const scf_binding& io) { return io.value == id; });
      if (found == step.io.end()) throw Failure(SCF_INVALID_ARGUMENT, "nothing is bound to '" + value(id).name + "'");
      Tensor& tensor = tensors_[i];
      bind(*found, static_cast<std::uint64_t>(tensor.rows()) * tensor.row_stride());
      tensor.data = address_[id];
    }
  }

  const Program& program_;
  std::byte* scratch_ = nullptr;
  std::vector<std::byte*> address_; // by value, on the device
  std::vector<Tensor> tensors_;     // by operand
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

/// Asked before anything is allocated: the host adds up what all programs need and says "does not fit" without touching
/// the device.
inline scf_status* requirements(scf_program* handle, scf_requirements* out) {
  const Program* program = Program::of(handle);
  scf_requirements need{};
  need.needs = &program->scratch;
  need.n_needs = program->scratch.bytes != 0 ? 1 : 0;
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
