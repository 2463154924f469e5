// What a kernel is: the unit that plugin authors write and that the reference kernels are written in, too.
//
// A kernel is made once per node (attributes parsed, strategy chosen) and run once per step. `run` is called on every
// worker of the team at the same time (SPMD): each takes its share, and the adapter puts a barrier behind the call.
// Inside, `worker.barrier()` separates phases. A kernel allocates nothing and throws nothing in `run`; scratch comes
// from `scratch_bytes`.
#pragma once

#include <seacliff/sdk/dtype.hpp>

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace seacliff::sdk {

/// An operand at run time. Row-major, contiguous, outermost dimension first; symbols already bound.
struct Tensor {
  void* data = nullptr; // nullptr: an absent optional input
  DType dtype = DType::f32;
  std::uint32_t rank = 0;
  std::int64_t dims[SCF_MAX_RANK] = {};

  explicit operator bool() const { return data != nullptr; }
  std::int64_t dim(std::uint32_t axis) const { return dims[axis]; }
  std::int64_t cols() const { return dims[rank - 1]; } // innermost
  std::int64_t rows() const {                          // product of all but the innermost
    std::int64_t n = 1;
    for (std::uint32_t i = 0; i + 1 < rank; ++i) n *= dims[i];
    return n;
  }
  std::int64_t elems() const { return rows() * cols(); }
  std::uint64_t row_stride() const { return row_bytes(dtype, static_cast<std::uint64_t>(cols())); } // bytes

  /// Row `r` of the [rows, cols] view, as raw bytes (any dtype).
  std::byte* row(std::int64_t r) const {
    return static_cast<std::byte*>(data) + static_cast<std::uint64_t>(r) * row_stride();
  }
  float* f32() const {
    assert(dtype == DType::f32);
    return static_cast<float*>(data);
  }
  float* f32_row(std::int64_t r) const { return f32() + r * cols(); }
  std::int32_t* i32() const {
    assert(dtype == DType::i32);
    return static_cast<std::int32_t*>(data);
  }
};

/// Half-open range of indices.
struct Range {
  std::int64_t begin = 0, end = 0;
};

/// One member of the team that runs a kernel.
class Worker {
public:
  /// `meet`, the host's team_barrier, may be nullptr when count is 1.
  Worker(scf_worker* worker, void (*meet)(scf_worker*)) : worker_(worker), barrier_(meet) {}

  std::uint32_t index() const { return worker_->index; }
  std::uint32_t count() const { return worker_->count; }
  void barrier() const {
    if (worker_->count > 1) barrier_(worker_);
  }
  /// This worker's part of [0, n), in multiples of `grain` (the last part may be shorter). Contiguous and disjoint
  /// over the workers, the same for the same n and count: results do not depend on timing.
  Range share(std::int64_t n, std::int64_t grain = 1) const {
    const std::int64_t blocks = (n + grain - 1) / grain;
    const std::int64_t i = index(), c = count();
    return {std::min(n, blocks * i / c * grain), std::min(n, blocks * (i + 1) / c * grain)};
  }

private:
  scf_worker* worker_;
  void (*barrier_)(scf_worker*);
};

/// Counts pieces of work that the workers take one by one.
using Ticket = std::atomic<std::uint32_t>;

/// body(piece) for pieces of [0, n), taken by whoever is free. For work of which it does not matter who does it:
/// results must not depend on it. Workers that other programs hold up do less, and nobody waits long for them.
template <class Body> void take_pieces(Ticket& ticket, std::int64_t n, Body body) {
  for (std::int64_t i; (i = ticket.fetch_add(1, std::memory_order_relaxed)) < n;) body(i);
}

class Kernel;
struct KernelCall;
/// A kernel that has joined another one, with its own operands.
struct Joined {
  const Kernel* kernel;
  const KernelCall* call;
};

/// The operands of one run, in the order of the op's schema.
struct KernelCall {
  std::span<const Tensor> in;
  std::span<const Tensor> out;                     // an updated STATE is the same memory in `in` and `out`
  std::span<std::byte> scratch;                    // 64-byte aligned, shared by all workers, contents undefined
  Ticket* tickets = nullptr;                       // as many as the kernel wants, zero when a run begins
  std::span<const Joined> before = {}, after = {}; // see Kernel::takes_before
  const Joined* reader = nullptr;                  // see Kernel::takes_early; takes what is there
  bool taken = false;                              // input 0 has been, all of it
  std::byte* form = nullptr;                       // see Kernel::form; 64-byte aligned
  bool formed = false;                             // it is there, made by a kernel before this one

  /// Elements [range) of input 0 are wanted, of output 0 are there.
  inline void run_before(Range range) const noexcept;
  inline void run_after(Range range) const noexcept;
  /// All elements, by all workers together; a barrier is behind the one and in front of the other.
  inline void run_all_before(const Worker& worker) const noexcept;
  inline void run_all_after(const Worker& worker) const noexcept;

  const Tensor& input(std::size_t i) const { return in[i]; }
  const Tensor& output(std::size_t i) const { return out[i]; }
};

class Kernel {
public:
  virtual ~Kernel() = default;
  /// Bytes shared by `workers` workers, enough for every binding of the symbols up to their maxima.
  virtual std::uint64_t scratch_bytes(std::uint32_t workers) const {
    (void)workers;
    return 0;
  }
  /// How many tickets a run uses, see take_pieces.
  virtual std::uint32_t tickets() const { return 0; }
  /// Whether output 0 may lie where input 0 does, element on element: each worker reads of that input only what it then
  /// writes itself, before it does. They share memory where nobody needs the input afterwards.
  virtual bool in_place() const { return false; }
  /// Elements of output 0 (a row) that the kernel can make without the others, from the same elements of input 0; 0: it
  /// cannot. Such a kernel needs no scratch and may join one that reads its rows or makes them, so that they are still
  /// in a cache: `run_part` is called for whole rows, all of them once, instead of `run`.
  virtual std::int64_t part() const { return 0; }
  virtual void run_part(const KernelCall& call, Range range) const noexcept {
    (void)call;
    (void)range;
  }
  /// Multiples of elements of input 0 in which the kernel asks for it by `call.run_before`, each element by one worker
  /// before that worker reads it; and of output 0, which it hands on by `call.run_after`. 0: it does not.
  virtual std::int64_t takes_before() const { return 0; }
  virtual std::int64_t takes_after() const { return 0; }
  /// Multiples of elements of input 0 that the kernel can take while the one that makes them runs and hands them on; 0:
  /// it cannot. `take` is called for all of them, once, by any worker; `run` then finds `call.taken` set, and in
  /// scratch what `take` has left there.
  virtual std::int64_t takes_early() const { return 0; }
  virtual void take(const KernelCall& call, Range range) const noexcept {
    (void)call;
    (void)range;
  }
  /// What the kernel makes of all of input 0 before it does anything else; bytes 0: nothing. Kernels that read the same
  /// value and say the same share it: the first makes it, in `call.form`, and goes on behind a barrier; the others find
  /// `call.formed` set.
  struct Form {
    const void* kind = nullptr;
    std::uint64_t bytes = 0;
    friend bool operator==(const Form&, const Form&) = default;
  };
  virtual Form form() const { return {}; }
  virtual void run(const KernelCall& call, const Worker& worker) const noexcept = 0;
};

void KernelCall::run_before(Range range) const noexcept {
  for (const Joined& joined : before) joined.kernel->run_part(*joined.call, range);
}
void KernelCall::run_after(Range range) const noexcept {
  for (const Joined& joined : after) joined.kernel->run_part(*joined.call, range);
  if (reader != nullptr) reader->kernel->take(*reader->call, range);
}

void KernelCall::run_all_before(const Worker& worker) const noexcept {
  for (const Joined& joined : before) {
    joined.kernel->run(*joined.call, worker);
    worker.barrier();
  }
}
void KernelCall::run_all_after(const Worker& worker) const noexcept {
  for (const Joined& joined : after) {
    worker.barrier();
    joined.kernel->run(*joined.call, worker);
  }
  if (reader == nullptr) return;
  worker.barrier();
  const Tensor& made = reader->call->input(0);
  const Range mine = worker.share(made.elems(), reader->kernel->takes_early());
  if (mine.begin < mine.end) reader->kernel->take(*reader->call, mine);
}

/// A value as a plugin sees it when it claims and compiles: dims are maxima where `sym` is not 0.
struct ValueView {
  const scf_value* value = nullptr; // nullptr: an absent optional input

  explicit operator bool() const { return value != nullptr; }
  DType dtype() const { return static_cast<DType>(value->dtype); }
  bool known_dtype() const { return find_dtype(value->dtype) != nullptr; }
  std::uint32_t rank() const { return value->rank; }
  std::int64_t dim(std::uint32_t axis) const { return value->dims[axis]; }
  std::int64_t cols() const { return value->dims[value->rank - 1]; }
  std::int64_t rows() const {
    std::int64_t n = 1;
    for (std::uint32_t i = 0; i + 1 < value->rank; ++i) n *= value->dims[i];
    return n;
  }
  bool is_state() const { return value->role == SCF_ROLE_STATE; }
};

inline std::string_view view(scf_str s) { return {s.ptr, static_cast<std::size_t>(s.len)}; }
inline scf_str str(std::string_view s) { return {s.data(), s.size()}; }

/// A node as a plugin sees it. Cheap to copy; valid during propose and compile only.
class NodeView {
public:
  NodeView(const scf_graph_view* graph, const scf_node* node, std::string_view op)
      : graph_(graph), node_(node), op_(op) {}

  std::string_view op() const { return op_; } // "matmul"
  std::string_view name() const { return view(node_->name); }
  std::uint32_t id() const { return node_->id; }
  std::uint32_t n_in() const { return node_->n_in; }
  std::uint32_t n_out() const { return node_->n_out; }
  ValueView in(std::uint32_t i) const { return i < node_->n_in ? value(node_->in[i]) : ValueView{}; }
  ValueView out(std::uint32_t i) const { return i < node_->n_out ? value(node_->out[i]) : ValueView{}; }

  std::int64_t attr_int(std::string_view key, std::int64_t missing = 0) const {
    const scf_kv* kv = find(key);
    if (kv == nullptr) return missing;
    return kv->type == SCF_KV_FLOAT ? static_cast<std::int64_t>(kv->v.f) : kv->v.i;
  }
  double attr_float(std::string_view key, double missing = 0.0) const {
    const scf_kv* kv = find(key);
    if (kv == nullptr) return missing;
    return kv->type == SCF_KV_INT ? static_cast<double>(kv->v.i) : kv->v.f;
  }

  const scf_node& raw() const { return *node_; }
  const scf_graph_view& graph() const { return *graph_; }

private:
  ValueView value(std::uint32_t id) const {
    if (id == SCF_NONE) return {};
    const auto* base = reinterpret_cast<const std::byte*>(graph_->values);
    return {reinterpret_cast<const scf_value*>(base + std::uint64_t{id} * graph_->value_stride)};
  }
  const scf_kv* find(std::string_view key) const {
    for (std::uint32_t i = 0; i < node_->n_attr; ++i)
      if (view(node_->attr[i].key) == key) return &node_->attr[i];
    return nullptr;
  }

  const scf_graph_view* graph_;
  const scf_node* node_;
  std::string_view op_;
};

/// Whether and how gladly a kernel takes a node. A reason is shown to the user verbatim when the level is NO.
struct Claim {
  std::uint32_t level = SCF_CLAIM_NO; // SCF_CLAIM_*
  std::string reason;
  double est_us = 0; // 0: unknown

  static Claim no(std::string why) { return {SCF_CLAIM_NO, std::move(why), 0}; }
  static Claim ok() { return {SCF_CLAIM_OK, {}, 0}; }
  static Claim preferred() { return {SCF_CLAIM_PREFERRED, {}, 0}; }
  static Claim slow() { return {SCF_CLAIM_SLOW, {}, 0}; }
};

/// One line of a plugin's catalogue. `claim` is pure; `make` is called only for nodes that `claim` took.
struct KernelEntry {
  std::string_view op; // name in domain "scf", version 1
  Claim (*claim)(const NodeView&);
  std::unique_ptr<Kernel> (*make)(const NodeView&);
};

} // namespace seacliff::sdk
