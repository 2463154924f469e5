// Models of random weights: the full shape and byte layout of a released model without its contents. For measuring
// speed and memory, and for tests of anything that does not need sense. No value is encoded: blocks are drawn as bytes.
#pragma once

#include "core/model/hparams.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace seacliff {

/// Standard deviations of what the matrices put out, for inputs of standard deviation 1: chosen so that a pass through
/// any number of layers stays finite and depends on its input.
struct SyntheticGains {
  double logits = 4;
  double router = 2;
  double gate = 1.5;    // gate and up: some values reach the SwiGLU clamp
  double attention = 3; // averaging over rows shrinks: more than 1 keeps attention relevant
  double branch = 0.1;  // what a sublayer adds to the streams; large values make the model chaotic
  double hc_spread = 1; // range of bases and scales of hyper-connections
  double skew = 1;      // how unevenly experts are chosen; 0: evenly
  double outlier = 8;   // factor of the outlier channels in norm weights; 1: none
};

/// Layers that share bytes, so that a file is smaller than the model it describes.
struct SyntheticAlias {
  std::int64_t dense = 0;   // layers l and l mod `dense` share dense matrices of equal type and shape; 0: none
  std::int64_t experts = 0; // the same for routed experts
};

struct SyntheticOptions {
  HParams hp;
  std::uint64_t seed = 1;
  SyntheticGains gains;
  SyntheticAlias alias;
  std::function<DType(const TensorSpec&)> dtype_of; // required; vectors are f32, tables i32 whatever it says
  std::function<void(GgufWriter&)> metadata;        // tokenizer, file type, ... ; may be empty
  unsigned threads = 1;                             // the bytes do not depend on it
  std::function<void(std::uint64_t done, std::uint64_t all, std::string_view tensor)> progress; // bytes; may be empty
  std::function<bool()> cancelled;                                                              // may be empty
};

struct SyntheticResult {
  std::uint64_t tensors = 0, parameters = 0;
  std::uint64_t described_bytes = 0; // of all tensors
  std::uint64_t data_bytes = 0;      // in the file: less where layers share
};

/// Writes the file. Same options, same bytes. Throws Error: invalid_argument for hyper-parameters or types that do not
/// fit each other, resource_exhausted before the first tensor when the disk is too small, cancelled.
SyntheticResult write_synthetic(const std::filesystem::path& path, const SyntheticOptions& options);

/// Hyper-parameters of a known shape: "flash", "pro", "4expert" (Flash with four experts per token), "nano" (the small
/// model of this repository). Throws Error(invalid_argument) for another name. Source: the released configurations.
HParams shape_named(std::string_view name);
/// "flash, pro, ..."
std::string shape_names();
/// The lists that have an entry per layer, remade for `layers` of them: compression ratios go on alternating.
void set_layers(HParams& hp, std::int64_t layers);

} // namespace seacliff
