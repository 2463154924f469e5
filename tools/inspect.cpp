// `seacliff inspect`: what a GGUF file holds.
#include "tools/commands.hpp"

#include "core/model/gguf.hpp"
#include "core/model/hparams.hpp"
#include "core/model/inventory.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <optional>

namespace seacliff::tools {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string path;
  bool json = false;
  bool tensors = false;
};

/// The file, and what it is as a model where it is one.
struct Contents {
  GgufFile file;
  std::optional<HParams> hp;
  std::optional<Inventory> inventory;
  std::string problem; // why it is no model that can be run; empty when it is one
};

struct LayerKinds {
  std::int64_t sliding = 0, csa = 0, hca = 0;
};

Contents examine(const std::string& path) {
  Contents out{GgufFile::open(path), {}, {}, {}};
  try {
    out.hp = hparams_from_gguf(out.file);
    out.inventory = take_inventory(out.file, *out.hp, TensorDirectory(out.file, *out.hp));
  } catch (const Error& error) {
    out.problem = error.what();
  }
  return out;
}

LayerKinds kinds(const HParams& hp) {
  const auto count = [&](std::int64_t ratio) { return std::count(hp.ratios.begin(), hp.ratios.end(), ratio); };
  return {count(0), count(4), count(128)};
}

std::string size_text(std::uint64_t bytes) {
  constexpr double k_mib = 1024.0 * 1024.0;
  const double mib = static_cast<double>(bytes) / k_mib;
  return mib < 1024 ? fmt::format("{:.3f} MiB", mib) : fmt::format("{:.3f} GiB", mib / 1024);
}

std::string dims_text(const std::vector<std::int64_t>& dims) { return fmt::format("{}", fmt::join(dims, " x ")); }

std::string dtypes_text(const std::map<DType, std::uint64_t>& dtypes) {
  std::string out;
  for (const auto& [dtype, count] : dtypes)
    out += fmt::format("{}{} ({})", out.empty() ? "" : ", ", dtype_info(dtype).name, count);
  return out;
}

/// One line, unprintable bytes and overlong text shortened.
std::string one_line(std::string_view text) {
  constexpr std::size_t k_shown = 72;
  std::string out;
  for (const char c : text.substr(0, k_shown)) {
    if (c == '\n')
      out += "\\n";
    else
      out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  }
  while (text.size() > k_shown && !out.empty() && (static_cast<unsigned char>(out.back()) & 0x80u) != 0) out.pop_back();
  return text.size() > k_shown ? out + fmt::format("... ({} bytes)", text.size()) : out;
}

template <typename T> std::string list_text(const std::vector<T>& list) {
  constexpr std::size_t k_shown = 6;
  std::string out = "[";
  for (std::size_t i = 0; i < std::min(list.size(), k_shown); ++i) {
    out += i == 0 ? "" : ", ";
    if constexpr (std::is_same_v<T, std::string>)
      out += "\"" + one_line(list[i]) + "\"";
    else
      out += fmt::format("{}", list[i]);
  }
  return out + (list.size() > k_shown ? fmt::format(", ...] ({} entries)", list.size()) : "]");
}

std::string value_text(const GgufValue& value) {
  return std::visit(
      []<typename T>(const T& v) -> std::string {
        if constexpr (std::is_same_v<T, std::string>)
          return one_line(v);
        else if constexpr (std::is_same_v<T, double>)
          return fmt::format("{}", static_cast<float>(v)); // most were float32: shows 1e-06, not 9.99999997e-07
        else if constexpr (std::is_arithmetic_v<T>)
          return fmt::format("{}", v);
        else
          return list_text(v);
      },
      value);
}

void print_model(const HParams& hp) {
  const LayerKinds layers = kinds(hp);
  fmt::print("layers     {} ({} sliding window, {} CSA ratio 4, {} HCA ratio 128; {} hash-routed)\n", hp.n_layers,
             layers.sliding, layers.csa, layers.hca, hp.n_hash_layers);
  fmt::print("experts    {} of {} per token, {} shared, hidden {}\n", hp.n_experts_used, hp.n_experts,
             hp.n_experts_shared, hp.d_ff);
  fmt::print("width      {}, {} heads of {}, {} streams, vocabulary {}\n", hp.n_embd, hp.n_heads, hp.head_dim,
             hp.n_streams, hp.n_vocab);
  fmt::print("context    {} tokens, window {}\n", hp.max_context, hp.window);
}

void print_inventory(const Inventory& inventory) {
  fmt::print("\n{:<18}{:>9}{:>15}{:>16}  {}\n", "class", "tensors", "size", "MB per token", "types (tensors)");
  for (const TensorClass& entry : inventory.classes)
    fmt::print("{:<18}{:>9}{:>15}{:>16.3f}  {}\n", entry.name, entry.tensors, size_text(entry.bytes),
               static_cast<double>(entry.bytes_per_token) / 1e6, dtypes_text(entry.dtypes));
  std::uint64_t tensors = 0;
  for (const TensorClass& entry : inventory.classes) tensors += entry.tensors;
  fmt::print("{:<18}{:>9}{:>15}{:>16.3f}\n", "total", tensors, size_text(inventory.bytes),
             static_cast<double>(inventory.bytes_per_token) / 1e6);
}

void print_metadata(const GgufFile& file) {
  std::size_t width = 0;
  for (const auto& [key, value] : file.metadata())
    width = std::max(width, std::min<std::size_t>(one_line(key).size(), 60));
  fmt::print("\nmetadata ({} keys)\n", file.metadata().size());
  for (const auto& [key, value] : file.metadata())
    fmt::print("  {:<{}}  {}\n", one_line(key), width, value_text(value));
}

void print_tensors(const GgufFile& file) {
  std::size_t width = 4;
  for (const GgufTensor& tensor : file.tensors())
    width = std::max(width, std::min<std::size_t>(one_line(tensor.name).size(), 60));
  fmt::print("\n{:<{}}  {:<8}{:>14}{:>16}  {}\n", "tensor", width, "type", "bytes", "offset", "shape");
  for (const GgufTensor& tensor : file.tensors())
    fmt::print("{:<{}}  {:<8}{:>14}{:>16}  {}\n", one_line(tensor.name), width, dtype_info(tensor.dtype).name,
               tensor.bytes, tensor.offset, dims_text(tensor.dims));
}

void print_text(const Contents& contents, bool tensors) {
  const GgufFile& file = contents.file;
  fmt::print("file       {} (GGUF v{}, {}, {} tensors)\n", file.name(), file.version(), size_text(file.file_bytes()),
             file.tensors().size());
  const auto text_of = [&](std::string_view key) {
    const auto it = file.metadata().find(key);
    return it == file.metadata().end() ? std::string("-") : value_text(it->second);
  };
  fmt::print("name       {}\n", text_of("general.name"));
  fmt::print("arch       {}\n", text_of("general.architecture"));
  if (contents.hp) print_model(*contents.hp);
  if (contents.inventory) {
    fmt::print("recipe     {}\n", contents.inventory->recipe);
    fmt::print("decoding   reads {:.3f} GB of weights per token\n",
               static_cast<double>(contents.inventory->bytes_per_token) / 1e9);
  }
  fmt::print("data       {} in the file", size_text(file.data_bytes()));
  if (contents.inventory && contents.inventory->bytes != file.data_bytes())
    fmt::print(" for {} of tensors (some share their bytes)", size_text(contents.inventory->bytes));
  fmt::print("\n");
  if (!contents.problem.empty()) fmt::print("problem    cannot be run: {}\n", contents.problem);
  if (contents.inventory) print_inventory(*contents.inventory);
  print_metadata(file);
  if (tensors) print_tensors(file);
}

Json model_json(const HParams& hp) {
  const LayerKinds layers = kinds(hp);
  return {
      {"layers",
       {{"total", hp.n_layers},
        {"sliding", layers.sliding},
        {"csa", layers.csa},
        {"hca", layers.hca},
        {"hash_routed", hp.n_hash_layers}}},
      {"embedding", hp.n_embd},
      {"vocabulary", hp.n_vocab},
      {"heads", hp.n_heads},
      {"head_dim", hp.head_dim},
      {"streams", hp.n_streams},
      {"window", hp.window},
      {"context", hp.max_context},
      {"experts",
       {{"total", hp.n_experts}, {"used", hp.n_experts_used}, {"shared", hp.n_experts_shared}, {"hidden", hp.d_ff}}}};
}

Json inventory_json(const Inventory& inventory) {
  Json classes = Json::array();
  for (const TensorClass& entry : inventory.classes) {
    Json dtypes = Json::object();
    for (const auto& [dtype, count] : entry.dtypes) dtypes[std::string(dtype_info(dtype).name)] = count;
    classes.push_back({{"name", entry.name},
                       {"tensors", entry.tensors},
                       {"bytes", entry.bytes},
                       {"bytes_per_token", entry.bytes_per_token},
                       {"dtypes", dtypes}});
  }
  return classes;
}

Json metadata_json(const GgufFile& file) {
  constexpr std::size_t k_shown = 64; // per list; vocabularies are not for reading
  Json out = Json::object();
  for (const auto& [key, value] : file.metadata())
    std::visit(
        [&, &name = key]<typename T>(const T& v) {
          if constexpr (std::is_arithmetic_v<T> || std::is_same_v<T, std::string>)
            out[name] = v;
          else if (v.size() <= k_shown)
            out[name] = v;
          else
            out[name] = {{"entries", v.size()}, {"first", T(v.begin(), v.begin() + k_shown)}};
        },
        value);
  return out;
}

void print_json(const Contents& contents, bool tensors) {
  const GgufFile& file = contents.file;
  Json out{{"file", file.name()},
           {"gguf_version", file.version()},
           {"file_bytes", file.file_bytes()},
           {"data_bytes", file.data_bytes()},
           {"runnable", contents.problem.empty()}};
  if (!contents.problem.empty()) out["problem"] = contents.problem;
  if (contents.hp) out["model"] = model_json(*contents.hp);
  if (contents.inventory) {
    out["recipe"] = contents.inventory->recipe;
    out["tensor_bytes"] = contents.inventory->bytes;
    out["bytes_per_token"] = contents.inventory->bytes_per_token;
    out["classes"] = inventory_json(*contents.inventory);
  }
  out["metadata"] = metadata_json(file);
  if (tensors) {
    out["tensors"] = Json::array();
    for (const GgufTensor& tensor : file.tensors())
      out["tensors"].push_back({{"name", tensor.name},
                                {"type", dtype_info(tensor.dtype).name},
                                {"shape", tensor.dims},
                                {"offset", tensor.offset},
                                {"bytes", tensor.bytes}});
  }
  fmt::print("{}\n", out.dump(2, ' ', false, Json::error_handler_t::replace));
}

int inspect_command(const Options& options) {
  const Contents contents = examine(options.path);
  if (options.json)
    print_json(contents, options.tensors);
  else
    print_text(contents, options.tensors);
  return 0;
}

} // namespace

void add_inspect(CLI::App& app, std::function<int()>& action) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("inspect", "show what a GGUF file holds");
  command->add_option("FILE", options->path, "the .gguf file")->required();
  command->add_flag("--json", options->json, "print JSON instead of text");
  command->add_flag("--tensors", options->tensors, "list every tensor");
  command->footer("Examples:\n"
                  "  seacliff inspect model.gguf\n"
                  "  seacliff inspect model.gguf --tensors | grep exps\n"
                  "  seacliff inspect model.gguf --json | jq .bytes_per_token");
  command->callback([options, &action] { action = [options] { return inspect_command(*options); }; });
}

} // namespace seacliff::tools
