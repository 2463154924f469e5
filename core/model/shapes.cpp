// Hyper-parameters of the released DeepSeek-V4 models and of nano. Source: their config.json files.
#include "core/model/synthetic.hpp"

#include <algorithm>
#include <array>

namespace seacliff {
namespace {

constexpr std::int64_t k_plain_layers = 2; // the first ones, compressed otherwise than the rest

HParams flash() {
  HParams hp;
  hp.n_embd = 4096;
  hp.n_vocab = 129280;
  hp.n_heads = 64;
  hp.head_dim = 512;
  hp.rope_dim = 64;
  hp.q_lora_rank = 1024;
  hp.o_groups = 8;
  hp.o_lora_rank = 1024;
  hp.n_experts = 256;
  hp.n_experts_used = 6;
  hp.n_experts_shared = 1;
  hp.d_ff = 2048;
  hp.n_hash_layers = 3;
  hp.window = 128;
  hp.index_heads = 64;
  hp.index_dim = 128;
  hp.index_top_k = 512;
  hp.n_streams = 4;
  hp.sinkhorn_iters = 20;
  hp.max_context = 1 << 20;
  hp.hc_eps = hp.rms_eps = 1e-6;
  hp.expert_scale = 1.5;
  hp.rope_base = 10000;
  hp.compress_rope_base = 160000;
  hp.yarn_factor = 16;
  hp.yarn_orig_ctx = 65536;
  hp.yarn_beta_fast = 32;
  hp.yarn_beta_slow = 1;
  hp.ratios = {0, 0};
  set_layers(hp, 43);
  return hp;
}

HParams pro() {
  HParams hp = flash();
  hp.n_embd = 7168;
  hp.n_heads = 128;
  hp.q_lora_rank = 1536;
  hp.o_groups = 16;
  hp.n_experts = 384;
  hp.d_ff = 3072;
  hp.index_top_k = 1024;
  hp.expert_scale = 2.5;
  hp.ratios = {128, 128};
  set_layers(hp, 61);
  return hp;
}

HParams four_expert() {
  HParams hp = flash();
  hp.n_experts_used = 4;
  return hp;
}

HParams nano() {
  HParams hp = flash();
  hp.n_embd = 256;
  hp.n_vocab = 4096;
  hp.n_heads = 8;
  hp.head_dim = 128;
  hp.q_lora_rank = hp.o_lora_rank = 128;
  hp.o_groups = 2;
  hp.n_experts = 16;
  hp.d_ff = 256;
  hp.window = 64;
  hp.index_heads = 4;
  hp.index_top_k = 32;
  hp.max_context = 65536;
  hp.yarn_orig_ctx = 4096;
  set_layers(hp, 8);
  return hp;
}

struct Shape {
  std::string_view name;
  HParams (*make)();
};
constexpr std::array<Shape, 4> k_shapes{{{"flash", flash}, {"pro", pro}, {"4expert", four_expert}, {"nano", nano}}};

} // namespace

HParams shape_named(std::string_view name) {
  for (const Shape& shape : k_shapes)
    if (shape.name == name) {
      HParams hp = shape.make();
      hp.name = "synthetic " + std::string(name);
      return hp;
    }
  throw Error(Code::invalid_argument, fmt::format("there is no shape \"{}\"", name), "shapes are " + shape_names());
}

std::string shape_names() {
  std::string names;
  for (const Shape& shape : k_shapes) names += (names.empty() ? "" : ", ") + std::string(shape.name);
  return names;
}

void set_layers(HParams& hp, std::int64_t layers) {
  const std::int64_t first = hp.ratios.empty() ? 0 : hp.ratios.front();
  const double clamp = hp.clamp_exp.empty() ? 10.0 : hp.clamp_exp.front();
  hp.n_layers = layers;
  hp.n_hash_layers = std::min(hp.n_hash_layers, layers);
  hp.ratios.clear();
  for (std::int64_t layer = 0; layer < layers; ++layer)
    hp.ratios.push_back(layer < k_plain_layers ? first : layer % 2 == 0 ? 4 : 128);
  hp.clamp_exp.assign(static_cast<std::size_t>(std::max<std::int64_t>(layers, 0)), clamp);
  hp.clamp_shared = hp.clamp_exp;
}

} // namespace seacliff
