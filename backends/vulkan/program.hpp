// A compiled segment: dispatches in levels, temporaries placed, the layout of the block that each step is told by.
#pragma once

#include "catalogue.hpp"
#include "device.hpp"

#include <seacliff/sdk/scratch.hpp>

#include <string>
#include <vector>

namespace seacliff::vulkan {

/// What is left of a value when the graph is gone.
struct Value {
  std::uint32_t role = 0;
  std::string name;
  Count rows;                  // of the file's layout
  std::uint64_t row_bytes = 0; // all of one row
  bool used = false;
  std::uint64_t offset = 0; // TEMP: in the scratch; INPUT, OUTPUT: of its address in the step's block

  std::uint64_t most_bytes() const { return rows.most * row_bytes; }
};

/// A symbol that some operand uses, with the largest value that fits all of them.
struct Symbol {
  std::uint32_t sym = 0;
  std::int64_t most = 0;
};

struct Launch {
  VkPipeline pipeline = VK_NULL_HANDLE;
  Dispatch dispatch;
  std::uint32_t level = 0;
  std::uint64_t weight_bytes = 0; // in the first launch of a node; 0: unknown
  bool by_need = false;           // how much of its weights it reads depends on its inputs
  std::uint64_t grid = 0;         // offset in the step's block; 0: the grid never changes
  std::uint64_t table = 0;        // the same, of the operands that Push.at has no room for; 0: it has
};

/// The block that each step is told by, filled by the host and copied to the device as the step begins: counts, then
/// addresses of inputs and outputs, then grids that depend on symbols, then constants, counters and tables of operands.
struct StepLayout {
  std::uint64_t addresses = 0, grids = 0, constants = 0, counters = 0, bytes = 0;
};

/// The object behind a scf_program.
class Program {
public:
  /// Throws Failure: invalid_argument for a malformed view, unimplemented (detail "node") for a node that is declined.
  Program(Device& device, const scf_graph_view& graph);

  Device& device() const { return device_; }
  const std::vector<Value>& values() const { return values_; }
  const std::vector<Symbol>& symbols() const { return symbols_; }
  const std::vector<Launch>& launches() const { return launches_; } // by level
  const std::vector<std::uint64_t>& block_offsets() const { return block_offsets_; }
  const Recording& recording() const { return recording_; }
  const StepLayout& step() const { return step_; }
  /// The scratch, or nothing.
  const std::vector<scf_need>& needs() const { return needs_; }
  std::uint64_t barriers() const { return launches_.empty() ? 0 : launches_.back().level; }
  /// Workgroups along one axis for this many of what is counted.
  std::uint32_t groups(const Launch& launch, int axis, std::uint64_t count) const;

  static constexpr std::uint64_t k_scratch_align = 256;
  static Program* of(scf_program* handle) { return reinterpret_cast<Program*>(handle); }

private:
  /// A weight, and how much of it a touch.comp on an earlier level brings.
  struct TouchedRange {
    Place place;
    std::uint64_t bytes = 0, touched = 0;
  };
  struct LevelWeights {
    std::vector<TouchedRange> ranges;
    std::uint64_t bytes = 0;
    bool by_need = false; // and others that nobody knows before
    std::uint32_t node = 0;
  };

  // program.cpp
  void read_values(const scf_graph_view& graph);
  void emit_nodes(const scf_graph_view& graph);
  std::uint64_t weight_bytes(const scf_node& node) const;
  void use_operands(const scf_graph_view& graph, const scf_node& node);
  void use(const scf_graph_view& graph, std::uint32_t id);
  void plan_levels();
  void delay_launches();
  std::uint64_t load_of(const Launch& launch) const;
  void join_launches();
  void order_levels();
  bool is_few() const;
  void touch_ahead(std::uint64_t at_once);
  std::vector<LevelWeights> weights_by_level() const;
  Launch touches_behind(std::vector<LevelWeights>& levels, std::uint32_t level, std::uint64_t at_once) const;
  void place_temporaries();
  void lay_out_step();

  Device& device_;
  std::vector<Value> values_;
  std::vector<Symbol> symbols_;
  Recording recording_;
  std::vector<Launch> launches_;
  std::vector<std::uint64_t> block_offsets_;
  StepLayout step_;
  std::vector<scf_need> needs_;
};

} // namespace seacliff::vulkan
