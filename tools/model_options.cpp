#include "tools/model_options.hpp"

#include "core/base/log.hpp"
#include "tools/usage.hpp"

#include <fstream>
#include <sstream>

namespace seacliff::tools {

graph::ModelOptions CommonOptions::model_options() const {
  graph::ModelOptions options;
  options.backends = backends;
  for (const std::string& rule : deny) options.deny.push_back(as_usage([&] { return graph::DenyRule::parse(rule); }));
  options.strict = strict;
  options.exact = exact;
  options.kv8 = kv8;
  options.idx4 = idx4;
  options.copy_weights = copy_weights;
  if (ctx != 0) options.max_ctx = ctx;
  return options;
}

void add_common_options(CLI::App& command, CommonOptions& o) {
  command.add_option("-m,--model", o.model, "GGUF file")->required();
  command
      .add_option("--backend", o.backends, "auto, cpu, reference, a device id, or a comma list in order of preference")
      ->capture_default_str();
  command.add_option("--plugin", o.plugins, "a backend library, manifest or folder to load as well");
  command.add_option("--option", o.plugin_options, "BACKEND.KEY=VALUE, an option of one backend: vulkan.validation=1");
  command.add_option("--threads", o.threads, "workers (default: one per physical core)")->check(CLI::Range(1u, 4096u));
  command.add_option("--ctx", o.ctx, "context in tokens")->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 24));
  command.add_flag("--exact", o.exact, "float32 activations and caches");
  const std::map<std::string, bool> words{{"on", true}, {"off", false}};
  command.add_option("--kv8", o.kv8, "E4M3 round trip of cached rows, as in training (on|off)")
      ->transform(CLI::CheckedTransformer(words))
      ->default_str("on");
  command.add_option("--idx4", o.idx4, "E2M1 round trip in the indexer, as in training (on|off)")
      ->transform(CLI::CheckedTransformer(words))
      ->default_str("on");
  command
      .add_option("--weights", o.copy_weights,
                  "mapped: in the page cache; copy: in memory of the process, in large pages (mapped|copy)")
      ->transform(CLI::CheckedTransformer(std::map<std::string, bool>{{"mapped", false}, {"copy", true}}))
      ->default_str("mapped");
  command.add_option("--deny", o.deny, "OP@DEVICE: never run that op there");
  command.add_flag("--strict", o.strict, "exit with 3 rather than fall back to another device or decomposition");
  command.add_option("--isa", o.isa, "instruction set of the cpu backend, by name");
  command.add_flag("-v,--verbose", o.verbose, "tell more of what happens");
  command.add_flag("-q,--quiet", o.quiet, "no placement, memory plan or figures on stderr");
}

graph::RuntimeOptions CommonOptions::runtime() const {
  graph::RuntimeOptions options{threads, plugins, isa};
  for (const std::string& text : plugin_options) {
    const std::size_t dot = text.find('.');
    if (dot == std::string::npos || dot == 0 || dot > text.find('='))
      throw Error(Code::invalid_argument, fmt::format("--option '{}' is not BACKEND.KEY=VALUE", text),
                  "write for example --option vulkan.validation=1");
    options.plugin_options[text.substr(0, dot)].push_back(plugins::parse_option(text.substr(dot + 1)));
  }
  return options;
}

LoadedModel load_model(const CommonOptions& common, const graph::ModelOptions& options, bool with_tokenizer) {
  log::set_level(common.quiet ? SCF_LOG_WARN : common.verbose ? SCF_LOG_DEBUG : SCF_LOG_INFO);
  GgufFile file = GgufFile::open(common.model);
  LoadedModel loaded;
  if (with_tokenizer) loaded.tokenizer = std::make_unique<Tokenizer>(Tokenizer::from_gguf(file));
  auto runtime = as_usage([&] { return std::make_shared<graph::Runtime>(common.runtime()); });
  loaded.model = std::make_unique<graph::Model>(std::move(runtime), std::move(file), options);
  return loaded;
}

std::string read_text_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Error(Code::not_found, fmt::format("cannot open '{}'", path), "check the path");
  std::ostringstream text;
  text << in.rdbuf();
  if (in.bad()) throw Error(Code::data_loss, fmt::format("cannot read '{}'", path));
  return std::move(text).str();
}

} // namespace seacliff::tools
