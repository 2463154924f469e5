// Importance matrices: how much each input column of a weight matters, measured by running a model over text. Source:
// the legacy `.dat` layout of llama.cpp's imatrix files.
#pragma once

#include "core/base/status.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace seacliff::convert {

/// Sums of squared activations per tensor and column, already divided by the number of calls.
class Importance {
public:
  /// Throws Error(not_found | data_loss) that names the file and the entry at fault.
  static Importance load(const std::filesystem::path& path);
  /// The same checks on bytes in memory.
  static Importance parse(std::span<const std::byte> bytes, std::string name);

  const std::string& name() const { return name_; }
  std::size_t entries() const { return by_tensor_.size(); }
  std::int64_t chunks() const { return chunks_; }         // of text; 0 when the file does not say
  const std::string& dataset() const { return dataset_; } // empty when the file does not say

  /// Weights of the columns of one matrix: of `expert` for a tensor of `n_experts` matrices, in an entry for all of
  /// them or one named "<tensor>.expert.N". Empty when the file has none. Throws Error(invalid_argument) when the entry
  /// has another length than the tensor wants.
  std::span<const float> columns(std::string_view tensor, std::int64_t expert, std::int64_t n_experts,
                                 std::int64_t cols) const;

private:
  std::string name_, dataset_;
  std::int64_t chunks_ = 0;
  std::map<std::string, std::vector<float>, std::less<>> by_tensor_;
};

} // namespace seacliff::convert
