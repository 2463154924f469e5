// `seacliff synth`: a model of random weights in the shape of a released one.
#include "core/base/progress.hpp"
#include "core/model/inventory.hpp"
#include "core/model/synthetic.hpp"
#include "core/text/tokenizer.hpp"
#include "ops/convert/recipe.hpp"
#include "tools/commands.hpp"
#include "tools/interrupt.hpp"
#include "tools/usage.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>

namespace seacliff::tools {
namespace {

using Json = nlohmann::ordered_json;

struct IntOverride {
  const char* flag;
  std::int64_t HParams::*member;
  const char* help;
};
constexpr std::array<IntOverride, 20> k_ints{{
    {"--hidden", &HParams::n_embd, "embedding width"},
    {"--vocab", &HParams::n_vocab, "tokens"},
    {"--heads", &HParams::n_heads, "query heads"},
    {"--head-dim", &HParams::head_dim, "width of a head"},
    {"--rope-dim", &HParams::rope_dim, "rotating elements of a head"},
    {"--q-lora", &HParams::q_lora_rank, "rank of the query projection"},
    {"--o-groups", &HParams::o_groups, "groups of the output projection"},
    {"--o-lora", &HParams::o_lora_rank, "rank of each group"},
    {"--experts", &HParams::n_experts, "routed experts per layer"},
    {"--experts-used", &HParams::n_experts_used, "of them per token"},
    {"--experts-shared", &HParams::n_experts_shared, "shared experts"},
    {"--ff", &HParams::d_ff, "hidden size of an expert"},
    {"--hash-layers", &HParams::n_hash_layers, "first layers that route by table"},
    {"--window", &HParams::window, "sliding window"},
    {"--index-heads", &HParams::index_heads, "heads of the indexer"},
    {"--index-dim", &HParams::index_dim, "their width"},
    {"--index-top-k", &HParams::index_top_k, "rows that the indexer selects"},
    {"--streams", &HParams::n_streams, "hyper-connection streams"},
    {"--sinkhorn", &HParams::sinkhorn_iters, "Sinkhorn iterations"},
    {"--max-context", &HParams::max_context, "context that the model claims to be made for"},
}};

struct FloatOverride {
  const char* flag;
  double HParams::*member;
  const char* help;
};
constexpr std::array<FloatOverride, 9> k_floats{{
    {"--rms-eps", &HParams::rms_eps, "epsilon of norms"},
    {"--hc-eps", &HParams::hc_eps, "epsilon of hyper-connections"},
    {"--expert-scale", &HParams::expert_scale, "factor of routed experts"},
    {"--rope-base", &HParams::rope_base, "base of uncompressed layers"},
    {"--compress-rope-base", &HParams::compress_rope_base, "base of compressed layers"},
    {"--yarn-factor", &HParams::yarn_factor, "YaRN factor"},
    {"--yarn-orig-ctx", &HParams::yarn_orig_ctx, "YaRN's original context"},
    {"--yarn-beta-fast", &HParams::yarn_beta_fast, "YaRN's fast limit"},
    {"--yarn-beta-slow", &HParams::yarn_beta_slow, "YaRN's slow limit"},
}};

struct GainOption {
  const char* flag;
  double SyntheticGains::*member;
  const char* help;
};
constexpr std::array<GainOption, 8> k_gains{{
    {"--logit-std", &SyntheticGains::logits, "spread of the logits"},
    {"--router-std", &SyntheticGains::router, "spread of router outputs"},
    {"--gate-gain", &SyntheticGains::gate, "spread of what enters SwiGLU"},
    {"--attn-gain", &SyntheticGains::attention, "gain of attention outputs"},
    {"--branch-gain", &SyntheticGains::branch, "what a sublayer adds to the streams; large values make chaos"},
    {"--hc-spread", &SyntheticGains::hc_spread, "range of hyper-connection bases and scales"},
    {"--skew", &SyntheticGains::skew, "how unevenly experts are chosen; 0: evenly"},
    {"--outlier", &SyntheticGains::outlier, "factor of the outlier channels in norms; 1: none"},
}};

struct SynthRequest {
  std::string shape, recipe, out;
  std::optional<std::int64_t> layers;
  std::array<std::optional<std::int64_t>, k_ints.size()> ints;
  std::array<std::optional<double>, k_floats.size()> floats;
  std::vector<std::int64_t> ratios;
  std::optional<double> clamp;
  SyntheticOptions options;
  bool alias = false, json = false;
  std::int64_t alias_dense = 8, alias_experts = 2;
  unsigned threads = std::max(1u, std::thread::hardware_concurrency());
};

HParams shape_of(const SynthRequest& request) {
  HParams hp = shape_named(request.shape == "custom" ? "nano" : request.shape);
  hp.name = fmt::format("synthetic {} {} {}", request.shape, request.recipe, request.options.seed);
  if (request.layers) set_layers(hp, *request.layers);
  for (std::size_t i = 0; i < k_ints.size(); ++i)
    if (request.ints[i]) hp.*k_ints[i].member = *request.ints[i];
  for (std::size_t i = 0; i < k_floats.size(); ++i)
    if (request.floats[i]) hp.*k_floats[i].member = *request.floats[i];
  if (!request.ratios.empty()) hp.ratios = request.ratios;
  if (request.clamp) {
    hp.clamp_exp.assign(hp.clamp_exp.size(), *request.clamp);
    hp.clamp_shared = hp.clamp_exp;
  }
  return hp;
}

SyntheticOptions options_of(const SynthRequest& request) {
  SyntheticOptions options = request.options;
  options.hp = shape_of(request);
  if (request.alias) options.alias = {request.alias_dense, request.alias_experts};
  options.threads = request.threads;
  const convert::Recipe recipe = convert::published(convert::recipe_of(request.recipe));
  options.dtype_of = [recipe](const TensorSpec& spec) {
    return convert::fitting_type(recipe[convert::classify(spec)], spec.dims.back());
  };
  options.metadata = [recipe, n_vocab = options.hp.n_vocab](GgufWriter& writer) {
    constexpr std::uint32_t quantization_version = 2; // of the block layouts
    writer.put_u32("general.file_type", convert::file_type_of(recipe));
    writer.put_u32("general.quantization_version", quantization_version);
    put_vocab(writer, synthetic_vocab(static_cast<std::size_t>(n_vocab)));
  };
  options.cancelled = interrupted;
  return options;
}

SyntheticResult write_with_bar(const std::string& path, SyntheticOptions& options) {
  constexpr std::uint64_t megabyte = 1'000'000;
  std::optional<Progress> bar; // once the size is known
  options.progress = [&](std::uint64_t done, std::uint64_t all, std::string_view tensor) {
    if (!bar) bar.emplace("synth", static_cast<std::int64_t>(all / megabyte), "MB");
    bar->update(static_cast<std::int64_t>(done / megabyte), tensor);
  };
  return write_synthetic(path, options);
}

int synth(const SynthRequest& request) {
  SyntheticOptions options = options_of(request);
  const auto start = std::chrono::steady_clock::now();
  const SyntheticResult result = write_with_bar(request.out, options);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const GgufFile file = GgufFile::open(request.out);
  const HParams hp = hparams_from_gguf(file); // what others will read
  const Inventory inventory = take_inventory(file, hp, TensorDirectory(file, hp));
  if (request.json) {
    fmt::print("{}\n", Json{{"file", request.out},
                            {"shape", request.shape},
                            {"recipe", request.recipe},
                            {"seed", options.seed},
                            {"tensors", result.tensors},
                            {"parameters", result.parameters},
                            {"file_bytes", file.file_bytes()},
                            {"described_bytes", result.described_bytes},
                            {"bytes_per_token", inventory.bytes_per_token},
                            {"seconds", seconds}}
                           .dump(2));
    return 0;
  }
  constexpr double giga = 1e9;
  fmt::print("{}: {} tensors, {:.2f} billion parameters, {:.2f} GB", request.out, result.tensors,
             static_cast<double>(result.parameters) / giga, static_cast<double>(file.file_bytes()) / giga);
  if (result.data_bytes != result.described_bytes)
    fmt::print(" for a model of {:.2f} GB", static_cast<double>(result.described_bytes) / giga);
  fmt::print(", {:.1f} s\n", seconds);
  return 0;
}

void add_overrides(CLI::App& command, SynthRequest& request) {
  const std::string group = "Hyper-parameters, instead of the shape's";
  command.add_option("--layers", request.layers, "layers")->check(CLI::Range(1, 4096))->group(group);
  for (std::size_t i = 0; i < k_ints.size(); ++i)
    command.add_option(k_ints[i].flag, request.ints[i], k_ints[i].help)->group(group);
  for (std::size_t i = 0; i < k_floats.size(); ++i)
    command.add_option(k_floats[i].flag, request.floats[i], k_floats[i].help)->group(group);
  command.add_option("--ratios", request.ratios, "compression ratio of each layer: 0, 4 or 128")
      ->delimiter(',')
      ->group(group);
  command.add_option("--clamp", request.clamp, "SwiGLU clamp of all layers")->group(group);
  for (const GainOption& gain : k_gains)
    command.add_option(gain.flag, request.options.gains.*gain.member, gain.help)
        ->capture_default_str()
        ->group("Random numbers");
}

} // namespace

void add_synth(CLI::App& app, Action& action) {
  auto request = std::make_shared<SynthRequest>();
  CLI::App* command = app.add_subcommand("synth", "write a model of random weights in the shape of a released one");
  command->add_option("--shape", request->shape, shape_names() + ", or custom: nano with your hyper-parameters")
      ->required();
  command
      ->add_option("--recipe", request->recipe,
                   "types of all tensors, as in published files: " + convert::recipe_names())
      ->required();
  command->add_option("--out", request->out, "GGUF file to write; an older one is replaced at the end")->required();
  command->add_option("--seed", request->options.seed, "same seed, same bytes")->capture_default_str();
  command->add_flag("--alias", request->alias, "let layers share tensor bytes: a small file for a large model");
  command->add_option("--alias-dense", request->alias_dense, "layers l and l mod N share dense matrices; 0: none")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--alias-experts", request->alias_experts, "layers l and l mod N share experts; 0: none")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--threads", request->threads, "threads that draw")->check(CLI::Range(1u, 4096u));
  command->add_flag("--json", request->json, "summary as JSON");
  add_overrides(*command, *request);
  command->footer("Speed and memory are those of the real model, its answers are noise. Examples:\n"
                  "  seacliff synth --shape flash --recipe q2 --alias --out flash-q2.gguf\n"
                  "  seacliff synth --shape custom --recipe q4 --layers 4 --experts 32 --out small.gguf");
  command->callback([request, &action] { action = [request] { return as_usage([&] { return synth(*request); }); }; });
}

} // namespace seacliff::tools
