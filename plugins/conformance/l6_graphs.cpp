// L6: whole models. A small one of random weights with every kind of layer runs on the device (what it declines, on the
// reference) and must give the logits of the reference, however its tokens are fed.
#include "plugins/conformance/context.hpp"
#include "plugins/conformance/levels.hpp"

#include "core/model/synthetic.hpp"
#include "core/text/tokenizer.hpp"
#include "graph/run/session.hpp"
#include "ops/convert/recipe.hpp"
#include "plugins/loader/tables.hpp"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

namespace seacliff::conform {
namespace {

namespace fs = std::filesystem;
using graph::Model;
using graph::ModelOptions;
using graph::Session;
using Tokens = std::vector<std::int32_t>;
using Logits = std::vector<float>;

constexpr std::int64_t k_vocab = 600, k_experts = 8, k_layers = 4; // ratios 0, 0, 4 and 128; three layers route by hash

/// Random weights of nano's shape, with fewer layers, experts and words.
GgufFile small_model(const std::string& recipe_name) {
  SyntheticOptions options;
  options.hp = shape_named("nano");
  set_layers(options.hp, k_layers);
  options.hp.n_vocab = k_vocab;
  options.hp.n_experts = k_experts;
  const convert::Recipe recipe = convert::recipe_of(recipe_name);
  options.dtype_of = [recipe](const TensorSpec& spec) {
    return convert::fitting_type(recipe[convert::classify(spec)], spec.dims.back());
  };
  const fs::path path = fs::temp_directory_path() / fmt::format("seacliff-conform-{}-{}.gguf", recipe_name, getpid());
  write_synthetic(path, options);
  GgufFile file = GgufFile::open(path); // mapped: the name may go
  fs::remove(path);
  return file;
}

Tokens some_tokens(std::int32_t count) {
  Tokens tokens;
  for (std::int32_t i = 0; i < count; ++i) tokens.push_back(i * 37 % static_cast<std::int32_t>(k_vocab));
  return tokens;
}

// ---- models on devices ---------------------------------------------------------------------------------------------

/// The machine with the plugin under test; kept for the tests of a child.
class Stage {
public:
  static Stage& of(Context& context, const std::string& device_id) {
    static std::unique_ptr<Stage> stage;
    if (!stage || stage->id_ != device_id) stage = std::make_unique<Stage>(context, device_id);
    return *stage;
  }

  Stage(Context& context, const std::string& device_id) : id_(device_id) {
    graph::RuntimeOptions options;
    options.threads = context.settings.threads;
    options.plugin_paths = {context.settings.given.string()};
    if (!context.settings.options.empty()) options.plugin_options[context.plugin()->name()] = context.settings.options;
    runtime_ = std::make_shared<graph::Runtime>(options);
    for (const auto& plugin : runtime_->plugins().plugins())
      for (const plugins::DeviceInfo& device : plugin->devices())
        if (plugin->path() == context.settings.library.string() && device.id == device_id)
          backend_ = plugin->full_id(device);
  }

  /// The device's name for --backend. Skips when a model cannot run on it at all.
  const std::string& backend(Trial& trial) const {
    if (backend_.empty()) trial.stop("error", fmt::format("the host's runtime does not find {}", id_));
    if (runtime_->plugins().find("reference") == nullptr)
      trial.skip("the reference plugin is not installed: nothing to compare with");
    const auto devices = runtime_->open_devices(backend_);
    if (devices.front()->tables().memory.import_host == nullptr)
      trial.skip("the device does not import host memory, which models need");
    return backend_;
  }

  std::unique_ptr<Model> load(const std::string& recipe, const ModelOptions& options) const {
    return std::make_unique<Model>(runtime_, small_model(recipe), options);
  }

private:
  std::string id_, backend_;
  std::shared_ptr<graph::Runtime> runtime_;
};

/// float32 activations, no round trips of caches: differences are those of the kernels.
ModelOptions exact(const std::string& backend, std::int64_t slots = 1) {
  ModelOptions options;
  options.backends = backend;
  options.exact = true;
  options.kv8 = options.idx4 = false;
  options.max_ctx = 1024;
  options.max_step = 128;
  options.n_slots = slots;
  return options;
}

Logits feed(Model& model, Session& session, std::span<const std::int32_t> tokens, std::int64_t chunk = 0) {
  Logits rows;
  const graph::Feed one{&session, tokens, graph::Want::all};
  graph::feed(
      model, {&one, 1},
      [&](Session&, std::int64_t, std::span<const float> row) { rows.insert(rows.end(), row.begin(), row.end()); },
      chunk);
  return rows;
}

Logits feed(Model& model, std::span<const std::int32_t> tokens, std::int64_t chunk = 0) {
  Session session(model);
  return feed(model, session, tokens, chunk);
}

// ---- comparing -----------------------------------------------------------------------------------------------------

struct Difference {
  double worst = 0, median = 0, top1 = 0; // per row: RMS of the difference over the deviation of the expected logits
};

Difference compare_rows(std::span<const float> expected, std::span<const float> got) {
  std::vector<double> rows;
  Difference d;
  for (std::size_t at = 0; at < expected.size(); at += k_vocab) {
    const auto want = expected.subspan(at, k_vocab), have = got.subspan(at, k_vocab);
    double off = 0, sum = 0, squares = 0;
    for (std::size_t i = 0; i < want.size(); ++i) {
      const double difference = static_cast<double>(want[i]) - have[i];
      off += difference * difference;
      sum += want[i];
      squares += static_cast<double>(want[i]) * want[i];
    }
    const double n = k_vocab, deviation = std::sqrt(std::max(squares / n - sum / n * sum / n, 1e-30));
    const double relative = std::sqrt(off / n) / deviation;
    rows.push_back(std::isfinite(relative) ? relative : HUGE_VAL);
    d.top1 += std::ranges::max_element(want) - want.begin() == std::ranges::max_element(have) - have.begin();
  }
  d.top1 /= static_cast<double>(rows.size());
  std::ranges::sort(rows);
  d.worst = rows.back();
  d.median = rows[rows.size() / 2];
  return d;
}

/// Chosen experts and rows may differ where scores are near ties, and a row with them: the median must be close.
struct Limits {
  double median = 1e-3, top1 = 0.97;
};

void expect_close(Trial& trial, std::span<const float> expected, std::span<const float> got, std::string_view what,
                  const Limits& limits = {}) {
  if (expected.size() != got.size() || expected.empty()) {
    trial.fail("logits", fmt::format("{}: {} logits, expected {}", what, got.size(), expected.size()));
    return;
  }
  const Difference d = compare_rows(expected, got);
  trial.metric("median relative difference", d.median);
  if (d.median > limits.median || d.top1 < limits.top1)
    trial.fail("logits",
               fmt::format("{}: rows differ by {:.2g} of their deviation (allowed {:.2g}), the worst by {:.2g}; "
                           "the most likely word is the same in {:.1f} % (at least {:.1f} %)",
                           what, d.median, limits.median, d.worst, 100 * d.top1, 100 * limits.top1));
}

// ---- tests ---------------------------------------------------------------------------------------------------------

void note_placement(Trial& trial, const Model& model) {
  const graph::Placement& placement = model.placement();
  const auto here = std::ranges::count(placement.device_of_node, 0u);
  if (here == 0) trial.skip("no node of the model runs on the device");
  trial.note(fmt::format("{} of {} nodes run on the device, {} values change sides", here,
                         placement.device_of_node.size(), placement.edges));
}

void as_reference(Trial& trial, const Stage& stage, const std::string& recipe) {
  const std::string backend = stage.backend(trial);
  const Tokens tokens = some_tokens(150);
  const auto model = stage.load(recipe, exact(backend));
  note_placement(trial, *model);
  expect_close(trial, feed(*stage.load(recipe, exact("reference")), tokens), feed(*model, tokens),
               recipe + " against the reference");
}

void with_int8(Trial& trial, const Stage& stage) {
  const std::string backend = stage.backend(trial);
  const Tokens tokens = some_tokens(150);
  const auto options = [](const std::string& name) {
    ModelOptions made;
    made.backends = name;
    made.max_ctx = 1024;
    made.max_step = 128;
    return made;
  };
  // The reference never rounds activations: this bounds what int8 may cost.
  expect_close(trial, feed(*stage.load("q8", options("reference")), tokens),
               feed(*stage.load("q8", options(backend)), tokens), "quantised activations against the reference",
               {0.1, 0.7});
}

void decomposed(Trial& trial, const Stage& stage) {
  const std::string backend = stage.backend(trial);
  const Tokens tokens = some_tokens(140);
  ModelOptions apart = exact(backend);
  for (const ops::Schema& schema : ops::catalogue())
    if (schema.composite()) apart.deny.push_back({std::string(schema.name), backend});
  expect_close(trial, feed(*stage.load("f32", exact(backend)), tokens), feed(*stage.load("f32", apart), tokens),
               "composites decomposed against composites whole");
}

void chunks(Trial& trial, const Stage& stage) {
  const auto model = stage.load("f32", exact(stage.backend(trial)));
  const Tokens tokens = some_tokens(150);
  const Logits whole = feed(*model, tokens);
  for (const std::int64_t chunk : {1, 3, 64, 65})
    expect_close(trial, whole, feed(*model, tokens, chunk), fmt::format("{} tokens a step against one pass", chunk));
}

void snapshots(Trial& trial, const Stage& stage) {
  const auto model = stage.load("f32", exact(stage.backend(trial), 2)),
             reference = stage.load("f32", exact("reference"));
  const Tokens tokens = some_tokens(150);
  const Logits whole = feed(*model, tokens);
  for (const std::size_t at : {3u, 64u, 127u, 129u}) {
    Session session(*model);
    feed(*model, session, std::span(tokens).first(at));
    const graph::Snapshot snapshot = session.snapshot();
    const std::size_t n = std::min<std::size_t>(10, tokens.size() - at);
    const std::span<const float> expected(whole.data() + at * k_vocab, n * k_vocab);
    for (Model* other : {model.get(), reference.get()}) {
      Session copy(*other);
      copy.restore(snapshot);
      expect_close(
          trial, expected, feed(*other, copy, std::span(tokens).subspan(at, n)),
          fmt::format("a snapshot at {} restored on {}", at, other == model.get() ? "the device" : "the reference"));
    }
  }
}

void rewinding(Trial& trial, const Stage& stage) {
  const auto model = stage.load("f32", exact(stage.backend(trial)));
  const Tokens tokens = some_tokens(200);
  const Logits whole = feed(*model, tokens);
  Session session(*model);
  feed(*model, session, tokens);
  for (const std::size_t to : {199u, 190u, 129u, 65u, 4u, 0u}) {
    session.rewind(static_cast<std::int64_t>(to));
    const std::size_t n = std::min<std::size_t>(5, tokens.size() - to);
    expect_close(trial, std::span(whole).subspan(to * k_vocab, n * k_vocab),
                 feed(*model, session, std::span(tokens).subspan(to, n)), fmt::format("after going back to {}", to),
                 {1e-3, 0.79});
  }
}

void batches(Trial& trial, const Stage& stage) {
  const auto model = stage.load("f32", exact(stage.backend(trial), 3));
  const std::vector<Tokens> texts{some_tokens(150), some_tokens(70), some_tokens(33)};
  std::vector<Logits> rows(texts.size());
  {
    std::vector<std::unique_ptr<Session>> sessions;
    std::vector<graph::Feed> feeds;
    for (const Tokens& text : texts) {
      sessions.push_back(std::make_unique<Session>(*model));
      feeds.push_back({sessions.back().get(), text, graph::Want::all});
    }
    graph::feed(
        *model, feeds,
        [&](Session& session, std::int64_t, std::span<const float> row) {
          Logits& to = rows[static_cast<std::size_t>(session.slot())];
          to.insert(to.end(), row.begin(), row.end());
        },
        37);
  }
  for (std::size_t i = 0; i < texts.size(); ++i)
    expect_close(trial, feed(*model, texts[i]), rows[i],
                 fmt::format("sequence {} of a batch of three against alone", i));
}

/// Hundreds of single steps must not wander from one pass over the same tokens.
void drifting(Trial& trial, const Stage& stage) {
  const auto model = stage.load("f32", exact(stage.backend(trial)));
  const Tokens tokens = some_tokens(500);
  const Logits whole = feed(*model, tokens), steps = feed(*model, tokens, 1);
  constexpr std::size_t k_last = 100 * k_vocab;
  if (whole.size() != steps.size()) trial.stop("logits", "fewer rows step by step");
  expect_close(trial, std::span(whole).last(k_last), std::span(steps).last(k_last), "the last 100 of 500 single steps");
}

} // namespace

std::vector<Test> graph_tests(const Target& target, const Settings&) {
  std::vector<Test> tests;
  const auto add = [&](const std::string& name, std::string title, auto body) {
    Test test{fmt::format("L6:model:{}{}", name, target.suffix), std::move(title),
              [id = target.id, body](Trial& trial, Context& context) { body(trial, Stage::of(context, id)); }};
    test.patience = 4;
    tests.push_back(std::move(test));
  };
  for (const std::string recipe : {"f32", "q4", "q2", "mxfp4"})
    add(recipe, "logits as the reference's",
        [recipe](Trial& trial, const Stage& stage) { as_reference(trial, stage, recipe); });
  add("act8", "quantised activations stay near", with_int8);
  add("decomposed", "composites in pieces", decomposed);
  add("chunks", "one pass as many steps", chunks);
  add("snapshot", "state saved and restored, also elsewhere", snapshots);
  add("rewind", "going back", rewinding);
  add("batch", "sequences together as alone", batches);
  add("drift", "500 single steps", drifting);
  return tests;
}

} // namespace seacliff::conform
