// `seacliff quantize`: an official checkpoint as a GGUF file.
#include "tools/commands.hpp"

#include "core/base/progress.hpp"
#include "ops/convert/convert.hpp"
#include "tools/interrupt.hpp"
#include "tools/usage.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace seacliff::tools {
namespace {

using convert::TensorClass;
using Json = nlohmann::ordered_json;

constexpr double k_mib = 1024.0 * 1024.0;

/// An option that sets the type of some classes.
struct TypeOption {
  const char* flag;
  const char* help;
  std::vector<TensorClass> classes;
  std::string type; // as typed; empty: not given
};

struct Request {
  std::string in, out, recipe, imatrix;
  unsigned threads = std::max(1u, std::thread::hardware_concurrency());
  bool json = false;
  // From general to special: a later one wins.
  std::vector<TypeOption> types{
      {"--experts",
       "routed experts",
       {TensorClass::gate_experts, TensorClass::up_experts, TensorClass::down_experts},
       ""},
      {"--experts-gate-up", "gate and up of routed experts", {TensorClass::gate_experts, TensorClass::up_experts}, ""},
      {"--experts-down", "down of routed experts", {TensorClass::down_experts}, ""},
      {"--attention-proj", "attention projections", {TensorClass::attention_proj}, ""},
      {"--attention",
       "compressor and indexer, with the position tables",
       {TensorClass::attention, TensorClass::ape},
       ""},
      {"--shared", "shared experts", {TensorClass::shared}, ""},
      {"--output", "output matrix", {TensorClass::output}, ""},
      {"--embedding", "embedding", {TensorClass::embedding}, ""},
      {"--dense", "router and hyper-connection matrices", {TensorClass::dense, TensorClass::hyper}, ""},
  };
};

std::string type_names() {
  std::string names;
  for (const DTypeInfo& info : k_dtypes)
    if (info.dtype != DType::i32) names += (names.empty() ? "" : ", ") + std::string(info.name);
  return names;
}

convert::Recipe recipe_for(const Request& request) {
  convert::Recipe recipe = as_usage([&] { return convert::recipe_of(request.recipe); });
  for (const TypeOption& option : request.types) {
    if (option.type.empty()) continue;
    const DTypeInfo* info = find_dtype(std::string_view(option.type));
    if (info == nullptr || info->dtype == DType::i32)
      throw UsageError(fmt::format("{}: there is no type \"{}\"", option.flag, option.type),
                       "types are " + type_names());
    for (const TensorClass cls : option.classes) recipe[cls] = info->dtype;
  }
  return recipe;
}

Json summary_json(const Request& request, const convert::Result& result) {
  Json classes = Json::array();
  for (const convert::ClassResult& row : result.classes)
    classes.push_back({{"class", convert::class_name(row.cls)},
                       {"type", dtype_info(row.dtype).name},
                       {"tensors", row.tensors},
                       {"elements", row.elems},
                       {"bytes", row.bytes},
                       {"rms_error", row.rms_error()}});
  return {{"out", request.out},         {"recipe", request.recipe},  {"tensors", result.tensors},
          {"bytes", result.data_bytes}, {"seconds", result.seconds}, {"classes", std::move(classes)},
          {"notes", result.notes}};
}

void print_summary(const Request& request, const convert::Result& result) {
  fmt::print("{:<15} {:<8} {:>7} {:>12} {:>11}\n", "class", "type", "tensors", "MiB", "RMS error");
  for (const convert::ClassResult& row : result.classes)
    fmt::print("{:<15} {:<8} {:>7} {:>12.2f} {:>11}\n", convert::class_name(row.cls), dtype_info(row.dtype).name,
               row.tensors, static_cast<double>(row.bytes) / k_mib,
               row.error_sum == 0 ? std::string("exact") : fmt::format("{:.2e}", row.rms_error()));
  for (const std::string& note : result.notes) fmt::print("note: {}\n", note);
  fmt::print("{}: {} tensors, {:.2f} MiB, {:.1f} s\n", request.out, result.tensors,
             static_cast<double>(result.data_bytes) / k_mib, result.seconds);
}

convert::Result convert_with_bar(convert::Options& options) {
  constexpr std::uint64_t megabyte = 1'000'000;
  std::optional<Progress> bar; // once the size is known
  options.progress = [&](const convert::Progress& progress) {
    if (!bar) bar.emplace("quantize", static_cast<std::int64_t>(progress.all_bytes / megabyte), "MB");
    bar->update(static_cast<std::int64_t>(progress.written_bytes / megabyte), progress.tensor);
  };
  return convert::convert(options);
}

int run(const Request& request) {
  std::optional<convert::Importance> importance;
  if (!request.imatrix.empty()) importance = convert::Importance::load(request.imatrix);
  convert::Options options;
  options.in = request.in;
  options.out = request.out;
  options.recipe = recipe_for(request);
  options.importance = importance ? &*importance : nullptr;
  options.threads = request.threads;
  options.cancelled = interrupted;
  const convert::Result result = convert_with_bar(options);
  if (request.json)
    fmt::print("{}\n", summary_json(request, result).dump(2));
  else
    print_summary(request, result);
  return 0;
}

} // namespace

void add_quantize(CLI::App& app, Action& action) {
  auto request = std::make_shared<Request>();
  CLI::App* command = app.add_subcommand("quantize", "Convert an official checkpoint directory to a GGUF file");
  command->add_option("--in", request->in, "checkpoint: config.json, tokenizer.json, *.safetensors")->required();
  command->add_option("--out", request->out, "GGUF file to write; an older one is replaced at the end")->required();
  command->add_option("--recipe", request->recipe, "types of all tensors: " + convert::recipe_names())->required();
  for (TypeOption& option : request->types)
    command->add_option(option.flag, option.type, std::string("type of: ") + option.help)->type_name("TYPE");
  command->add_option("--imatrix", request->imatrix, "importance matrix (.dat) for quantised types");
  command->add_option("--threads", request->threads, "threads that encode")->check(CLI::Range(1u, 4096u));
  command->add_flag("--json", request->json, "summary as JSON");
  command->footer("Types: " + type_names() +
                  ".\nHyper-connection matrices and position tables stay f32 unless --dense or --attention is given.");
  command->callback([request, &action] { action = [request] { return run(*request); }; });
}

} // namespace seacliff::tools
