// The options that every command with a model has, and the model they lead to.
#pragma once

#include "core/text/tokenizer.hpp"
#include "graph/run/model.hpp"

#include <CLI/CLI.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace seacliff::tools {

struct CommonOptions {
  std::string model;
  std::string backends = "auto";
  std::vector<std::string> plugins, plugin_options, deny;
  std::uint32_t threads = 0;
  std::int64_t ctx = 0; // 0: the command's default
  bool exact = false, strict = false, verbose = false, quiet = false;
  bool kv8 = true, idx4 = true;
  bool copy_weights = false;
  std::string isa;

  /// Throws Error(invalid_argument) for a malformed --option.
  graph::RuntimeOptions runtime() const;
  /// Throws Error(invalid_argument) for a malformed --deny.
  graph::ModelOptions model_options() const;
};

/// -m and the options of the command-line contract.
void add_common_options(CLI::App& command, CommonOptions& options);

/// A model with the tokenizer of its file.
struct LoadedModel {
  std::unique_ptr<graph::Model> model;
  std::unique_ptr<Tokenizer> tokenizer; // nullptr when not asked for
};
/// Placement and memory plan are told on stderr, the latter before anything is allocated, unless --quiet.
LoadedModel load_model(const CommonOptions& common, const graph::ModelOptions& options, bool with_tokenizer);

/// The whole file. Throws Error(not_found | data_loss).
std::string read_text_file(const std::string& path);

} // namespace seacliff::tools
