// A model ready to run: weights mapped, graphs compiled, state allocated. Steps are ragged batches over slots.
#pragma once

#include "core/model/gguf.hpp"
#include "core/model/hparams.hpp"
#include "graph/build/builder.hpp"
#include "graph/plan/memory.hpp"
#include "graph/run/program.hpp"
#include "graph/run/runtime.hpp"
#include "graph/run/site.hpp"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace seacliff::graph {

/// --strict met a plan with a fallback.
struct StrictRefusal : Error {
  using Error::Error;
};

struct ModelOptions {
  std::string backends = "auto"; // --backend
  std::vector<DenyRule> deny;
  bool strict = false; // refuse a plan with any fallback: StrictRefusal
  bool exact = false;  // float32 activations, float32 caches
  bool kv8 = true, idx4 = true;
  std::int64_t max_ctx = 4096;   // positions per slot; cut to what the model was made for
  std::int64_t n_slots = 1;      // sequences with state
  std::int64_t max_step = 512;   // tokens of one step
  std::int64_t max_outputs = 64; // logit rows of one step
  std::int64_t rewind_rows = 64; // tokens a slot goes back for free
  std::int64_t checkpoints = 4;  // per slot, for going back further
  bool copy_weights = false;     // into memory of the process, in large pages; else they stay in the mapped file
};

/// One sequence's part of a step: tokens at positions `position`, `position`+1, ...
struct Run {
  std::int64_t slot = 0;
  std::int64_t position = 0;
  std::span<const std::int32_t> tokens;
};

/// A state tensor. It lies in host memory, or on the one device that uses it.
struct StateTensor {
  std::string name; // "blk.02.window"
  DType dtype = DType::f16;
  std::int64_t rows = 0;       // per slot
  std::uint64_t row_bytes = 0; // of one position
  std::int64_t ratio = 0;      // 0: a ring over positions; else row p/ratio
  std::size_t index = 0;       // among the model's states

  /// Rows per slot that hold something at `position`.
  std::int64_t filled_rows(std::int64_t position) const { return ratio == 0 ? rows : std::min(rows, position / ratio); }
};

/// Not thread-safe: one step at a time.
class Model {
public:
  /// States the memory plan (log level info) before it allocates; throws Error(does_not_fit) with the numbers, or what
  /// the file or the placement says.
  Model(std::shared_ptr<Runtime> runtime, GgufFile file, const ModelOptions& options);

  const GgufFile& file() const { return file_; }
  const HParams& hparams() const { return hp_; }
  const ModelOptions& options() const { return options_; } // as in force
  const MemoryPlan& memory() const { return memory_; }
  const Placement& placement() const { return programs_.back().program->placement(); }
  const std::vector<StateTensor>& states() const { return states_; }
  Runtime& runtime() { return *runtime_; }
  std::uint32_t threads() const { return runtime_->team().size(); }
  /// The device that takes precedence, where it computes in memory of its own; nullptr: it computes in the host's.
  std::shared_ptr<plugins::Device> far_device() const { return sites_.front()->near() ? nullptr : devices_.front(); }

  /// A slot that nobody uses. Throws Error(resource_exhausted) when all are taken.
  std::int64_t take_slot();
  void free_slot(std::int64_t slot) { slot_taken_[static_cast<std::size_t>(slot)] = false; }

  /// The first `rows` rows of a slot's state, copied from where they lie, and back. Not during a step.
  std::vector<std::byte> read_rows(const StateTensor& state, std::int64_t slot, std::int64_t rows) const;
  void write_rows(const StateTensor& state, std::int64_t slot, std::span<const std::byte> rows);

  /// One step. Each slot at most once; total tokens <= max_step, `out_rows` (batch indices) at most max_outputs.
  /// Returns the logits [out_rows, n_vocab], valid until the next step. Sessions keep the positions; this does not.
  std::span<const float> step(std::span<const Run> runs, std::span<const std::int32_t> out_rows);

  /// Measures every step from now on and hands it to `sink`; an empty sink ends that. What runs stays the same: fusion
  /// and barriers do not change.
  void profile(Granularity granularity, StepSink sink);

private:
  struct Sized {
    std::int64_t max_tokens = 0;
    std::unique_ptr<StepProgram> program;
  };

  void compile(const TensorDirectory& tensors);
  bool states_have_homes(std::set<Away>& away);
  void plan_memory(const TensorDirectory& tensors);
  void plan_host_memory();
  void say_and_check() const;
  void load_weights();
  void allocate(const TensorDirectory& tensors);
  void add_states(const Graph& graph);
  std::uint64_t state_bytes(const StateTensor& state) const; // of all slots
  void check_step(std::span<const Run> runs, std::span<const std::int32_t> out_rows) const;
  StepProgram& program_for(std::int64_t n_tokens);
  void run_profiled(StepProgram& program, std::span<const Run> runs);

  std::shared_ptr<Runtime> runtime_;
  GgufFile file_;
  ModelOptions options_;
  HParams hp_;
  MemoryPlan memory_;
  HostMemory host_;
  std::vector<StateTensor> states_;
  std::map<std::string, std::size_t, std::less<>> state_index_;
  std::vector<Site*> state_site_; // by state; nullptr: host memory
  std::vector<std::shared_ptr<plugins::Device>> devices_;
  std::vector<std::unique_ptr<Site>> sites_; // by device
  std::vector<Sized> programs_;              // by max_tokens
  std::vector<scf_dim> symbols_;
  std::vector<bool> slot_taken_;
  Granularity granularity_ = Granularity::off;
  StepSink step_sink_; // empty: not profiling
  StepRecord record_;
  std::uint64_t lost_before_ = 0; // records of earlier steps
};

} // namespace seacliff::graph
