// The weights that one device reads: in the pages of the file, or in memory of the device.
#pragma once

#include "core/model/gguf.hpp"
#include "graph/plan/packing.hpp"
#include "graph/run/host_windows.hpp"
#include "plugins/loader/transfer.hpp"

#include <cstdint>
#include <map>
#include <vector>

namespace seacliff {
class Team;
}

namespace seacliff::graph {

/// A tensor, the weight that a device sees in it, and the layout that it gets it in (id 0: the file's bytes). The name
/// in `seen` must outlive it.
struct WeightUse {
  const GgufTensor* tensor = nullptr;
  scf_value seen{};
  plugins::LayoutInfo layout;

  std::uint64_t bytes() const { return layout.id == 0 ? tensor->bytes : layout.bytes; }
};

class Weights {
public:
  Weights() = default;
  /// Decides; takes nothing yet. The tensors are of `file`, which must outlive this object; those of the same bytes
  /// count once. `in_place`: use the file's pages where the device can; all layouts are then the file's.
  Weights(const plugins::Device& device, const GgufFile& file, const std::vector<WeightUse>& uses, bool in_place);

  std::uint64_t own_bytes() const { return packing_.total(); }
  /// Imports what is used in place. False when the device refuses: all of it then counts as the device's own.
  bool import(plugins::Device& device);
  /// Allocates what is the device's own.
  void allocate(plugins::Device& device);
  /// Brings it there, made by the team, with a line in the log now and then. `drop_pages`: nobody else reads the
  /// file's.
  void load(plugins::Transfer& transfer, Team& team, bool drop_pages);

  scf_slice slice(const GgufTensor& tensor) const;

private:
  bool in_place(const WeightUse& use) const { return windows_.holds({use.tensor->offset, use.tensor->bytes}); }
  void pack_own(const plugins::Device& device);
  void load_part(plugins::Transfer& transfer, Team& team, std::size_t index, std::uint64_t begin, std::uint64_t end);

  const GgufFile* file_ = nullptr;
  std::vector<WeightUse> distinct_;
  std::map<const GgufTensor*, std::size_t> index_; // in distinct_
  HostWindows windows_;
  Packing packing_; // of distinct_
  std::vector<plugins::Buffer> blocks_;
};

} // namespace seacliff::graph
