// From an official checkpoint to a GGUF file.
#pragma once

#include "ops/convert/importance.hpp"
#include "ops/convert/recipe.hpp"

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace seacliff::convert {

struct Progress {
  std::string_view tensor;
  std::uint64_t done_elems = 0, all_elems = 0;
  std::uint64_t written_bytes = 0;
};

struct Options {
  std::filesystem::path in;  // checkpoint directory
  std::filesystem::path out; // GGUF
  Recipe recipe;
  const Importance* importance = nullptr;        // optional; used for quantised types
  unsigned threads = 1;                          // at least 1
  std::function<void(const Progress&)> progress; // optional; called from the calling thread
  const std::atomic<bool>* cancelled = nullptr;  // optional; set it and `convert` throws Error(cancelled) soon
};

/// All tensors of one class and type.
struct ClassResult {
  TensorClass cls = TensorClass::vector;
  DType dtype = DType::f32;
  std::uint64_t tensors = 0, elems = 0, bytes = 0;
  double error_sum = 0, value_sum = 0; // of squares

  /// sqrt(sum of squared errors / sum of squares), measured on what a reader of the file decodes.
  double rms_error() const;
};

struct Result {
  std::vector<ClassResult> classes;
  std::vector<std::string> notes; // what the user should know: types that did not fit, missing importance
  std::uint64_t tensors = 0, data_bytes = 0;
  double seconds = 0;
};

/// Converts. The output appears under its name only when it is complete. The result is the same for every number of
/// threads. Throws Error: cancelled; not_found (checkpoint, shard, tensor); data_loss (damaged input, values that are
/// not numbers); out_of_range (a value too large for f16); resource_exhausted (not enough space).
Result convert(const Options& options);

} // namespace seacliff::convert
