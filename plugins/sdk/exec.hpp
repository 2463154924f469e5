// A segment with its memory bound, ready to run. All arrays are made here, once; a step patches the few operands that
// changed (new addresses, new values of symbols) and walks the nodes.
#pragma once

#include <seacliff/sdk/host_memory.hpp>
#include <seacliff/sdk/segment.hpp>

#include <chrono>
#include <vector>

namespace seacliff::sdk {

class Exec;

/// Monotonic nanoseconds: device ticks of the adapter.
inline std::uint64_t clock_ns() {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
          .count());
}

/// Records of the runs since the last drain. Each worker writes to a track of its own: no locks, and memory is taken at
/// begin() only. What does not fit any more is counted. All but add() are called between runs.
class ProfileLog {
public:
  struct Item {
    const Exec* exec = nullptr;
    std::uint32_t first_node = 0, n_nodes = 0;
    std::uint64_t t0 = 0, t1 = 0;
    std::uint64_t bytes = 0; // of weights, read by all workers together; in the record of worker 0 alone
  };
  struct alignas(64) Track { // a cache line of its own, so that workers do not disturb each other
    std::vector<Item> items; // the first `used` count
    std::size_t used = 0;
    std::uint64_t lost = 0;

    std::span<const Item> records() const { return std::span(items).first(used); }
  };

  /// Records per track until the next drain: some steps of a large model.
  static constexpr std::size_t k_capacity = 1 << 14;

  void begin(std::uint32_t granularity, std::uint32_t workers) {
    end();
    if (granularity == SCF_PROFILE_OFF) return;
    tracks_.resize(granularity == SCF_PROFILE_NODE ? workers : 1);
    for (Track& track : tracks_) track.items.resize(k_capacity); // touched here, not in a run
    granularity_ = granularity;
  }
  void end() {
    granularity_ = SCF_PROFILE_OFF;
    tracks_.clear();
  }
  void add(std::uint32_t worker, const Item& item) {
    Track& track = tracks_[worker];
    if (track.used < track.items.size())
      track.items[track.used++] = item;
    else
      ++track.lost;
  }
  void clear() {
    for (Track& track : tracks_) track.used = 0;
  }

  const std::vector<Track>& tracks() const { return tracks_; } // by worker
  std::uint64_t lost() const {
    std::uint64_t sum = 0;
    for (const Track& track : tracks_) sum += track.lost;
    return sum;
  }
  std::uint32_t granularity() const { return granularity_; }

private:
  std::vector<Track> tracks_;
  std::uint32_t granularity_ = SCF_PROFILE_OFF;
};

/// Throws Failure(invalid_argument) that names a WEIGHT or STATE without a binding, or a slice that is too small. The
/// first need is the segment's scratch.
class Exec {
public:
  Exec(const scf_host* host, const Segment& segment, const scf_bindings& bindings)
      : host_(host), segment_(&segment), bound_(segment.values().size()), io_of_(segment.values().size(), k_not_io),
        users_(segment.values().size()) {
    for (std::uint64_t i = 0; i < bindings.n_items; ++i) bind_fixed(bindings.items[i]);
    const scf_slice scratch = bindings.n_needs != 0 ? bindings.needs[0] : scf_slice{};
    if (scratch.bytes < segment.scratch_bytes())
      throw Failure(SCF_INVALID_ARGUMENT, "the scratch bound is smaller than required",
                    {{"need", static_cast<std::int64_t>(segment.scratch_bytes())},
                     {"free", static_cast<std::int64_t>(scratch.bytes)}});
    scratch_ = HostBuffer::writable(scratch);
    make_tensors();
    make_calls();
  }
  Exec(const Exec&) = delete;
  Exec& operator=(const Exec&) = delete;

  static Exec* of(scf_exec* handle) { return reinterpret_cast<Exec*>(handle); }
  scf_exec* handle() { return reinterpret_cast<scf_exec*>(this); }

  /// Per step: symbols and small inputs and outputs. Throws Failure that names what is missing or too small.
  void bind_step(const scf_submit& submit) {
    ++step_;
    for (Symbol& symbol : symbols_) bind_symbol(symbol, submit);
    for (std::uint64_t i = 0; i < submit.n_io; ++i) bind_io(submit.io[i]);
    for (const Io& io : io_) {
      if (io.step != step_) throw Failure(SCF_INVALID_ARGUMENT, unbound(io.value));
      if (io.bytes < bytes_now(users_[io.value].front())) throw Failure(SCF_INVALID_ARGUMENT, too_small(io.value));
    }
  }

  /// One launch of the team for all nodes. Throws Failure when the team is larger than the segment was compiled for.
  void run(ProfileLog& profile) {
    const std::uint32_t size = host_->team_size(host_->ctx, 0);
    if (size > segment_->workers())
      throw Failure(SCF_FAILED_PRECONDITION, "the worker team has grown since the program was compiled");
    if (profile.granularity() == SCF_PROFILE_NODE && size > profile.tracks().size())
      throw Failure(SCF_FAILED_PRECONDITION, "the worker team has grown since profiling began");
    for (Ticket& ticket : tickets_) ticket.store(0, std::memory_order_relaxed);
    Launch launch{this, profile.granularity() != SCF_PROFILE_OFF ? &profile : nullptr};
    check(host_, host_->team_run(host_->ctx, 0, &Exec::work, &launch));
  }

private:
  struct Patch {
    std::uint32_t operand, axis;
  };
  struct Symbol {
    std::uint32_t sym;
    std::int64_t max;
    std::vector<Patch> patches;
    std::int64_t value; // what the tensors hold now
  };
  struct Io {
    std::uint32_t value;
    std::byte* data = nullptr; // what the tensors hold now
    std::uint64_t bytes = 0;
    std::uint64_t step = 0; // the last one that bound it
  };
  struct Launch {
    Exec* exec;
    ProfileLog* profile; // nullptr: off
  };

  static constexpr std::uint32_t k_not_io = ~std::uint32_t{0};

  std::string unbound(std::uint32_t value) const {
    return "nothing is bound to '" + segment_->values()[value].name + "'";
  }
  std::string too_small(std::uint32_t value) const {
    return "the slice bound to '" + segment_->values()[value].name + "' is too small";
  }

  void bind_fixed(const scf_binding& binding) {
    const auto& values = segment_->values();
    if (binding.value >= values.size()) throw Failure(SCF_INVALID_ARGUMENT, "a binding names no value of the segment");
    const SegmentValue& value = values[binding.value];
    if (value.layout == 0 && binding.slice.bytes < value.bytes)
      throw Failure(SCF_INVALID_ARGUMENT, too_small(binding.value));
    bound_[binding.value] =
        value.role == SCF_ROLE_STATE ? HostBuffer::writable(binding.slice) : HostBuffer::address(binding.slice);
  }

  void make_tensors() {
    const auto& values = segment_->values();
    for (const SegmentSymbol& symbol : segment_->symbols()) symbols_.push_back({symbol.sym, symbol.max, {}, -1});
    for (const std::uint32_t id : segment_->operands()) {
      Tensor tensor;
      if (id != SCF_NONE) {
        const SegmentValue& value = values[id];
        tensor.dtype = value.dtype;
        tensor.rank = value.rank;
        std::copy_n(value.dims, value.rank, tensor.dims);
        tensor.data = fixed_address(id, value);
        const auto operand = static_cast<std::uint32_t>(tensors_.size());
        for (std::uint32_t axis = 0; axis < value.rank; ++axis)
          if (value.syms[axis] != 0) symbol_of(value.syms[axis]).patches.push_back({operand, axis});
        if (is_io(value) && io_of_[id] == k_not_io) {
          io_of_[id] = static_cast<std::uint32_t>(io_.size());
          io_.push_back({id});
        }
        users_[id].push_back(operand);
      }
      tensors_.push_back(tensor);
    }
  }

  static bool is_io(const SegmentValue& value) { return value.role == SCF_ROLE_INPUT || value.role == SCF_ROLE_OUTPUT; }

  /// nullptr for what each step binds.
  void* fixed_address(std::uint32_t id, const SegmentValue& value) const {
    if (is_io(value)) return nullptr;
    if (value.role == SCF_ROLE_TEMP) return scratch_ + value.scratch_offset;
    if (bound_[id] == nullptr) throw Failure(SCF_INVALID_ARGUMENT, unbound(id));
    return bound_[id];
  }

  Symbol& symbol_of(std::uint32_t sym) {
    return *std::find_if(symbols_.begin(), symbols_.end(), [&](const Symbol& symbol) { return symbol.sym == sym; });
  }

  void make_calls() {
    std::size_t count = 0;
    for (const SegmentNode& node : segment_->nodes()) count += node.kernel->tickets();
    tickets_ = std::vector<Ticket>(count);
    Ticket* tickets = tickets_.data();
    for (const SegmentNode& node : segment_->nodes()) {
      const std::span<const Tensor> operands(tensors_.data() + node.first_operand, node.n_in + node.n_out);
      calls_.push_back({operands.first(node.n_in),
                        operands.subspan(node.n_in),
                        std::span(scratch_ + node.scratch_offset, node.scratch_bytes),
                        tickets,
                        {},
                        {}});
      if (node.form != SCF_NONE) calls_.back().form = scratch_ + segment_->forms()[node.form].scratch_offset;
      calls_.back().formed = node.formed;
      tickets += node.kernel->tickets();
    }
    join();
  }

  /// Tells each call who has joined it.
  void join() {
    const auto& nodes = segment_->nodes();
    for (std::size_t i = 0; i < nodes.size(); ++i) joined_.push_back({nodes[i].kernel.get(), &calls_[i]});
    const std::span<const Joined> all(joined_);
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      if (nodes[i].joined) continue;
      order_.push_back(i);
      calls_[i].before = all.subspan(i - nodes[i].before, nodes[i].before);
      calls_[i].after = all.subspan(i + 1, nodes[i].after);
      if (nodes[i].reader != SCF_NONE) calls_[i].reader = &all[nodes[i].reader];
      calls_[i].taken = nodes[i].taken;
    }
  }

  std::uint64_t bytes_now(std::uint32_t operand) const {
    const Tensor& tensor = tensors_[operand];
    return static_cast<std::uint64_t>(tensor.rows()) * tensor.row_stride();
  }

  void bind_symbol(Symbol& symbol, const scf_submit& submit) {
    const std::span dims(submit.dims, submit.n_dims);
    const auto found =
        std::find_if(dims.begin(), dims.end(), [&](const scf_dim& dim) { return dim.sym == symbol.sym; });
    if (found == dims.end() || found->value < 0 || found->value > symbol.max)
      throw Failure(SCF_INVALID_ARGUMENT, "symbol " + std::to_string(symbol.sym) +
                                              (found == dims.end() ? " has no value" : " is outside its range"));
    if (found->value == symbol.value) return;
    symbol.value = found->value;
    for (const Patch& patch : symbol.patches) tensors_[patch.operand].dims[patch.axis] = found->value;
  }

  void bind_io(const scf_binding& binding) {
    const auto& values = segment_->values();
    if (binding.value >= io_of_.size() || !is_io(values[binding.value]))
      throw Failure(SCF_INVALID_ARGUMENT, "a step binds a value that is neither input nor output");
    if (io_of_[binding.value] == k_not_io) return; // no node of the segment uses it
    Io& io = io_[io_of_[binding.value]];
    io.step = step_;
    io.bytes = binding.slice.bytes;
    std::byte* data = values[binding.value].role == SCF_ROLE_OUTPUT ? HostBuffer::writable(binding.slice)
                                                                    : HostBuffer::address(binding.slice);
    if (io.data == data) return;
    io.data = data;
    for (const std::uint32_t operand : users_[binding.value]) tensors_[operand].data = data;
  }

  static void work(void* arg, scf_worker* raw) {
    const Launch& launch = *static_cast<const Launch*>(arg);
    const Worker worker(raw, launch.exec->host_->team_barrier);
    if (launch.profile != nullptr && launch.profile->granularity() == SCF_PROFILE_NODE)
      launch.exec->walk_nodes(worker, *launch.profile);
    else if (launch.profile != nullptr && worker.index() == 0)
      launch.exec->walk_timed(worker, *launch.profile);
    else
      launch.exec->walk(worker);
  }

  void walk(const Worker& worker) const {
    const auto& nodes = segment_->nodes();
    for (const std::size_t i : order_) {
      if (nodes[i].barrier_before) worker.barrier();
      nodes[i].kernel->run(calls_[i], worker);
    }
  }

  /// As walk; every worker writes down its own time in each node, without what it waits behind it.
  void walk_nodes(const Worker& worker, ProfileLog& profile) const {
    const auto& nodes = segment_->nodes();
    std::uint64_t t0 = clock_ns();
    for (const std::size_t i : order_) {
      if (nodes[i].barrier_before) {
        worker.barrier();
        t0 = clock_ns();
      }
      nodes[i].kernel->run(calls_[i], worker);
      const std::uint64_t t1 = clock_ns();
      profile.add(worker.index(), {this, nodes[i].id, 1, t0, t1, worker.index() == 0 ? weight_bytes(i) : 0});
      t0 = t1;
    }
  }

  /// Of a node in this step: none are read when there is nothing to compute.
  std::uint64_t weight_bytes(std::size_t node) const {
    const auto out = calls_[node].out;
    return !out.empty() && out.front().elems() == 0 ? 0 : segment_->nodes()[node].weight_bytes;
  }

  /// As walk, on worker 0 alone; a node's time ends when the barrier behind it, if any, has been passed.
  void walk_timed(const Worker& worker, ProfileLog& profile) const {
    const auto& nodes = segment_->nodes();
    const bool per_node = profile.granularity() >= SCF_PROFILE_GROUP;
    const std::uint64_t begin = clock_ns();
    std::uint64_t t0 = begin;
    for (std::size_t at = 0; at < order_.size(); ++at) {
      const std::size_t i = order_[at];
      nodes[i].kernel->run(calls_[i], worker);
      if (at + 1 < order_.size() && nodes[order_[at + 1]].barrier_before) worker.barrier();
      if (!per_node) continue;
      const std::uint64_t t1 = clock_ns();
      profile.add(0, {this, nodes[i].id, 1, t0, t1, weight_bytes(i)});
      t0 = t1;
    }
    if (!per_node && !nodes.empty())
      profile.add(0, {this, nodes.front().id, static_cast<std::uint32_t>(nodes.size()), begin, clock_ns(), 0});
  }

  const scf_host* host_;
  const Segment* segment_;
  std::byte* scratch_ = nullptr;
  std::vector<std::byte*> bound_;                 // by value: WEIGHT and STATE
  std::vector<std::uint32_t> io_of_;              // by value: index in io_
  std::vector<std::vector<std::uint32_t>> users_; // by value: its operands
  std::vector<Tensor> tensors_;                   // by operand
  std::vector<Symbol> symbols_;
  std::vector<Io> io_;
  std::vector<KernelCall> calls_;  // by node
  std::vector<Joined> joined_;     // by node, of all
  std::vector<std::size_t> order_; // nodes but those that have joined another
  std::vector<Ticket> tickets_;    // of all nodes
  std::uint64_t step_ = 0;
};

} // namespace seacliff::sdk
