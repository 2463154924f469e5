#include "tests/e2e/nano.hpp"

#include "core/text/tokenizer.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace seacliff::test {
namespace {

const std::string k_nano = SEACLIFF_SOURCE_DIR "/models/nano/";

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot open " + path);
  std::ostringstream text;
  text << in.rdbuf();
  return std::move(text).str();
}

std::vector<Vector> load_vectors() {
  const auto json = nlohmann::json::parse(read(k_nano + "vectors/vectors.json"));
  const std::string bytes = read(k_nano + "vectors/logits.bin");
  std::vector<Vector> result;
  for (const auto& prompt : json.at("prompts")) {
    Vector v;
    v.name = prompt.at("name");
    v.ids = prompt.at("ids").get<std::vector<std::int32_t>>();
    v.positions = prompt.at("positions").get<std::vector<std::int64_t>>();
    v.greedy = prompt.at("greedy").get<std::vector<std::int32_t>>();
    v.greedy_margin = prompt.at("greedy_top1_margin").get<std::vector<double>>();
    const std::size_t offset = prompt.at("logits_offset");
    const std::size_t cols = prompt.at("logits_shape").at(1);
    v.logits.resize(v.positions.size() * cols);
    if (offset + v.logits.size() * sizeof(float) > bytes.size()) throw std::runtime_error("logits.bin is too short");
    std::copy_n(bytes.data() + offset, v.logits.size() * sizeof(float), reinterpret_cast<char*>(v.logits.data()));
    result.push_back(std::move(v));
  }
  return result;
}

std::vector<double> log_softmax(std::span<const float> row) {
  const double max = *std::max_element(row.begin(), row.end());
  double sum = 0;
  for (const float x : row) sum += std::exp(x - max);
  std::vector<double> result(row.begin(), row.end());
  for (double& x : result) x -= max + std::log(sum);
  return result;
}

double deviation(std::span<const float> row) {
  double sum = 0, squares = 0;
  for (const float x : row) {
    sum += x;
    squares += static_cast<double>(x) * x;
  }
  const double n = static_cast<double>(row.size()), mean = sum / n;
  return std::sqrt(std::max(0.0, squares / n - mean * mean));
}

std::ptrdiff_t argmax(std::span<const float> row) { return std::max_element(row.begin(), row.end()) - row.begin(); }

} // namespace

std::string nano_gguf(const std::string& recipe) { return SEACLIFF_BINARY_DIR "/test-models/nano-" + recipe + ".gguf"; }

const std::vector<Vector>& vectors() {
  static const std::vector<Vector> all = load_vectors();
  return all;
}

const Vector& vector_named(const std::string& name) {
  for (const Vector& v : vectors())
    if (v.name == name) return v;
  throw std::runtime_error("no vector " + name);
}

std::string backend_under_test() {
  const char* named = std::getenv("SEACLIFF_TEST_BACKEND");
  return named == nullptr || *named == '\0' ? "cpu" : named;
}

graph::ModelOptions exact_options(const std::string& backend) {
  graph::ModelOptions options;
  options.backends = backend;
  options.exact = true;
  options.kv8 = options.idx4 = false;
  options.max_ctx = 2048;
  return options;
}

std::unique_ptr<graph::Model> load(const std::string& recipe, const graph::ModelOptions& options) {
  static const auto runtime = std::make_shared<graph::Runtime>(graph::RuntimeOptions{});
  return std::make_unique<graph::Model>(runtime, GgufFile::open(nano_gguf(recipe)), options);
}

std::vector<float> all_logits(graph::Model& model, graph::Session& session, std::span<const std::int32_t> tokens,
                              std::int64_t chunk) {
  std::vector<float> rows;
  const graph::Feed feed{&session, tokens, graph::Want::all};
  graph::feed(
      model, {&feed, 1},
      [&](graph::Session&, std::int64_t, std::span<const float> row) {
        rows.insert(rows.end(), row.begin(), row.end());
      },
      chunk);
  return rows;
}

std::vector<float> all_logits(graph::Model& model, std::span<const std::int32_t> tokens, std::int64_t chunk) {
  graph::Session session(model);
  return all_logits(model, session, tokens, chunk);
}

std::vector<std::vector<std::int32_t>> heldout_windows(std::size_t n) {
  static const std::vector<std::int32_t> text =
      Tokenizer::from_json(k_nano + "tokenizer.json").encode(read(k_nano + "heldout.txt"));
  std::vector<std::vector<std::int32_t>> windows;
  for (std::size_t w = 0; w < n; ++w) {
    windows.push_back({0});
    windows.back().insert(windows.back().end(), text.begin() + static_cast<std::ptrdiff_t>(1023 * w),
                          text.begin() + static_cast<std::ptrdiff_t>(1023 * (w + 1)));
  }
  return windows;
}

Difference compare(std::span<const float> a, std::span<const float> b, std::size_t vocab) {
  if (a.size() != b.size() || a.empty()) throw std::runtime_error("logits of different size");
  Difference result;
  std::vector<double> rel;
  for (std::size_t at = 0; at < a.size(); at += vocab) {
    const auto ra = a.subspan(at, vocab), rb = b.subspan(at, vocab);
    double squares = 0;
    for (std::size_t i = 0; i < vocab; ++i) {
      const double d = static_cast<double>(ra[i]) - rb[i];
      squares += d * d;
      result.max_abs = std::max(result.max_abs, std::isfinite(d) ? std::abs(d) : HUGE_VAL);
    }
    rel.push_back(std::sqrt(squares / static_cast<double>(vocab)) / deviation(ra));
    const auto la = log_softmax(ra), lb = log_softmax(rb);
    for (std::size_t i = 0; i < vocab; ++i) result.mean_kl += std::exp(la[i]) * (la[i] - lb[i]);
    result.top1 += argmax(ra) == argmax(rb) ? 1 : 0;
    ++result.rows;
  }
  std::nth_element(rel.begin(), rel.begin() + static_cast<std::ptrdiff_t>(rel.size() / 2), rel.end());
  result.median_rel = rel[rel.size() / 2];
  result.mean_kl /= static_cast<double>(result.rows);
  result.top1 /= static_cast<double>(result.rows);
  return result;
}

} // namespace seacliff::test
