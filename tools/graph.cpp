// `seacliff graph`: the graph of a model, as text, Graphviz or JSON.
#include "tools/commands.hpp"
#include "tools/usage.hpp"

#include "core/model/gguf.hpp"
#include "core/model/hparams.hpp"
#include "graph/build/builder.hpp"
#include "graph/dump/dump.hpp"
#include "graph/passes/passes.hpp"

#include <charconv>
#include <cstdio>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace seacliff::tools {
namespace {

struct GraphOptions {
  std::string model, format = "text", layers, output;
  std::vector<std::string> passes;
  bool decompose = false, weights = false;
  graph::BuildOptions build;
};

/// "3" or "3-7".
void parse_layers(const std::string& text, graph::DumpOptions& dump) {
  const auto number = [&](std::string_view digits) {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size())
      throw UsageError(fmt::format("--layers '{}' is no range of layers", text), "write A-B, or one number");
    return value;
  };
  const auto dash = text.find('-');
  dump.layer_begin = number(std::string_view(text).substr(0, dash));
  dump.layer_end = dash == std::string::npos ? *dump.layer_begin : number(std::string_view(text).substr(dash + 1));
  if (*dump.layer_end < *dump.layer_begin) throw UsageError(fmt::format("--layers '{}' ends before it begins", text));
}

graph::Graph build(const GraphOptions& options) {
  const GgufFile file = GgufFile::open(options.model);
  const HParams hp = hparams_from_gguf(file);
  return graph::build_deepseek4(hp, TensorDirectory(file, hp), options.build);
}

std::string known_passes() {
  std::string known;
  for (const graph::PassInfo& info : graph::passes()) known += (known.empty() ? "" : ", ") + std::string(info.name);
  return known;
}

graph::Graph run_passes(graph::Graph graph, const GraphOptions& options) {
  std::vector<std::string> names = options.passes;
  if (options.decompose) names.insert(names.begin(), "decompose");
  for (const std::string& name : names) {
    const graph::PassInfo* pass = graph::find_pass(name);
    if (pass == nullptr) throw UsageError(fmt::format("there is no pass '{}'", name), "known are " + known_passes());
    graph = pass->run(graph);
  }
  graph::verify(graph);
  return graph;
}

std::string render(const graph::Graph& graph, const GraphOptions& options) {
  graph::DumpOptions dump;
  dump.show_weights = options.weights;
  if (!options.layers.empty()) parse_layers(options.layers, dump);
  if (options.format == "dot") return to_dot(graph, dump);
  if (options.format == "json") return to_json(graph, dump);
  return print(select_layers(graph, dump));
}

void write_out(const std::string& text, const std::string& path) {
  if (path.empty() || path == "-") {
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
      throw Error(Code::data_loss, "the output could not be written");
    return;
  }
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (!file)
    throw Error(Code::permission_denied, fmt::format("'{}' could not be written", path),
                "check the folder and the space on it");
}

int run_graph(const GraphOptions& options) {
  write_out(render(run_passes(build(options), options), options), options.output);
  return 0;
}

} // namespace

void add_graph(CLI::App& app, Action& action) {
  const auto options = std::make_shared<GraphOptions>();
  graph::BuildOptions& build = options->build;
  const CLI::Range positive(std::int64_t{1}, std::int64_t{1} << 32);
  CLI::App* command = app.add_subcommand("graph", "write the graph of a model down");
  command->add_option("-m,--model", options->model, "a GGUF file")->required();
  command->add_option("--format", options->format, "what to write")
      ->check(CLI::IsMember({"text", "dot", "json"}))
      ->capture_default_str();
  command->add_option("--layers", options->layers, "only these layers: A-B, or one number");
  command->add_flag("--decompose", options->decompose, "replace composites by primitives first");
  command->add_option("--pass", options->passes, "run this pass first (repeatable): " + known_passes());
  command->add_flag("--weights", options->weights, "draw weights, too (dot)");
  command->add_option("--tokens", build.max_tokens, "most tokens of one step")->check(positive)->capture_default_str();
  command->add_option("--outputs", build.max_outputs, "most rows of logits of one step")
      ->check(positive)
      ->capture_default_str();
  command->add_option("--ctx", build.max_ctx, "positions of one sequence")->check(positive)->capture_default_str();
  command->add_option("--slots", build.n_slots, "sequences that have state")->check(positive)->capture_default_str();
  command->add_option("-o,--output", options->output, "file to write; without it, standard output");
  command->footer("Examples:\n"
                  "  seacliff graph -m model.gguf --layers 0-2\n"
                  "  seacliff graph -m model.gguf --layers 4 --decompose --format dot | dot -Tsvg -o layer4.svg\n"
                  "  seacliff graph -m model.gguf --format json | jq .totals");
  command->callback([options, &action] { action = [options] { return run_graph(*options); }; });
}

} // namespace seacliff::tools
