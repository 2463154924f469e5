// The weights that one device reads: in the pages of the file, or in memory of the device.
#pragma once

#include "core/model/gguf.hpp"
#include "graph/plan/packing.hpp"
#include "graph/run/host_windows.hpp"
#include "plugins/loader/transfer.hpp"

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

namespace seacliff::graph {

class Weights {
public:
  Weights() = default;
  /// Decides; takes nothing yet. `tensors` are of `file`, which must outlive this object; those of the same bytes count
  /// once. `in_place`: use the file's pages where the device can.
  Weights(const plugins::Device& device, const GgufFile& file, std::vector<const GgufTensor*> tensors, bool in_place);

  std::uint64_t own_bytes() const { return packing_.total(); }
  bool empty() const { return tensors_.empty(); }
  /// Imports what is used in place. False when the device refuses: all of it then counts as the device's own.
  bool import(plugins::Device& device);
  /// Allocates what is the device's own.
  void allocate(plugins::Device& device);
  /// Brings it there, with a line in the log now and then. `drop_pages`: nobody else reads the file's.
  void load(plugins::Transfer& transfer, bool drop_pages);

  scf_slice slice(const GgufTensor& tensor) const;

private:
  using Key = std::pair<std::uint64_t, std::uint64_t>; // offset and bytes in the file

  void pack_own(const plugins::Device& device);

  const GgufFile* file_ = nullptr;
  std::map<Key, const GgufTensor*> tensors_;
  HostWindows windows_;
  std::map<Key, std::size_t> own_; // place in packing_
  Packing packing_;
  std::vector<plugins::Buffer> blocks_;
};

} // namespace seacliff::graph
