// Tensors are cut into chunks, each a stream of random words of its own. Threads make chunks in any order into a ring
// of buffers; the caller's thread writes them in the order of the file.
#include "core/model/synthetic.hpp"
#include "core/base/text.hpp"
#include "core/model/random_blocks.hpp"

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <map>
#include <mutex>
#include <numeric>
#include <optional>
#include <thread>
#include <tuple>

namespace seacliff {
namespace {

constexpr std::int64_t k_chunk_elems = 1 << 20; // a multiple of every block size
constexpr std::uint64_t k_outlier_every = 256;  // one channel in this many

/// A name as a stream number (FNV-1a).
std::uint64_t stream_of(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

/// What a tensor's numbers are like.
struct Contents {
  enum Kind { blocks, range, norm, bias, experts } kind = blocks;
  double std = 1;           // blocks, bias
  double low = 0, high = 1; // range
};

Contents vector_contents(std::string_view name, const SyntheticGains& gains) {
  if (contains(name, "norm.")) return {Contents::norm, 1, 0.5, 1.5};
  if (contains(name, "exp_probs_b")) return {Contents::bias, 0.15 * gains.skew, 0, 0};
  if (contains(name, "sinks") || contains(name, "output_hc_base")) return {Contents::range, 1, -1, 1};
  if (contains(name, "output_hc_scale")) return {Contents::range, 1, 0.7, 1.3};
  if (contains(name, "_base.")) return {Contents::range, 1, -gains.hc_spread, gains.hc_spread};
  return {Contents::range, 1, 0.5 * gains.hc_spread, gains.hc_spread}; // hc_*_scale
}

Contents contents_of(const TensorSpec& spec, const SyntheticGains& gains) {
  const std::string_view name = spec.name;
  if (spec.integer) return {Contents::experts, 0, 0, 0};
  if (spec.dims.size() < 2) return vector_contents(name, gains);
  if (name == "token_embd.weight") return {Contents::blocks, 1, 0, 0};
  if (contains(name, "_ape.")) return {Contents::blocks, 0.5, 0, 0};
  double gain = 1;
  if (name == "output.weight") gain = gains.logits;
  if (contains(name, "ffn_gate_inp")) gain = gains.router;
  if (contains(name, "ffn_gate_exps") || contains(name, "ffn_up_exps")) gain = gains.gate;
  if (contains(name, "ffn_gate_shexp") || contains(name, "ffn_up_shexp")) gain = gains.gate;
  if (contains(name, "attn_output_a")) gain = gains.attention;
  if (contains(name, "attn_output_b") || contains(name, "ffn_down_")) gain = gains.branch;
  return {Contents::blocks, gain / std::sqrt(static_cast<double>(spec.dims.back())), 0, 0};
}

/// A tensor with bytes of its own.
struct Owner {
  TensorSpec spec;
  DType dtype = DType::f32;
  Contents contents;
  std::uint64_t stream = 0;
  std::int64_t elems = 0;
};

struct Chunk {
  std::size_t owner = 0;
  std::int64_t first = 0, elems = 0;
  std::uint64_t part = 0;
  std::uint64_t bytes = 0;
};

/// Makes the bytes of any chunk. Const: used by many threads.
class Maker {
public:
  explicit Maker(const SyntheticOptions& options) : options_(options) {}

  void make(const Owner& owner, const Chunk& chunk, std::span<std::byte> bytes) const {
    RandomWords random(options_.seed, owner.stream, chunk.part);
    switch (owner.contents.kind) {
    case Contents::blocks: return random_blocks(owner.dtype, owner.contents.std, random, bytes);
    case Contents::experts: return expert_rows(owner, random, bytes);
    default: return floats(owner, chunk, random, bytes);
    }
  }

private:
  void floats(const Owner& owner, const Chunk& chunk, RandomWords& random, std::span<std::byte> bytes) const {
    const Contents& c = owner.contents;
    for (std::int64_t i = 0; i < chunk.elems; ++i) {
      double value = c.kind == Contents::bias ? c.std * random.bell() : c.low + (c.high - c.low) * random.unit();
      if (c.kind == Contents::norm && outlier(owner.elems, chunk.first + i)) value *= options_.gains.outlier;
      const auto number = static_cast<float>(value);
      std::memcpy(bytes.data() + static_cast<std::size_t>(i) * sizeof(number), &number, sizeof(number));
    }
  }

  /// The same channels in all vectors of one width: outliers persist through the layers.
  bool outlier(std::int64_t width, std::int64_t channel) const {
    RandomWords random(options_.seed, static_cast<std::uint64_t>(width), static_cast<std::uint64_t>(channel));
    return random.below(k_outlier_every) == 0;
  }

  /// Different experts for each token, popular ones more often: weight (rank + 1)^(-skew/2), ranks shuffled per tensor.
  void expert_rows(const Owner& owner, RandomWords& random, std::span<std::byte> bytes) const {
    const auto n = static_cast<std::size_t>(options_.hp.n_experts);
    const auto used = static_cast<std::size_t>(options_.hp.n_experts_used);
    std::vector<std::int32_t> expert(n); // by rank
    std::iota(expert.begin(), expert.end(), 0);
    RandomWords order(options_.seed, owner.stream, ~std::uint64_t{0});
    for (std::size_t i = n; i > 1; --i) std::swap(expert[i - 1], expert[order.below(i)]);
    std::vector<double> below(n); // cumulated weights
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i)
      below[i] = sum += std::pow(static_cast<double>(i + 1), -0.5 * options_.gains.skew);

    std::vector<std::int32_t> row(used);
    for (std::size_t at = 0; at < bytes.size(); at += used * sizeof(std::int32_t)) {
      for (std::size_t k = 0; k < used;) {
        const auto found = std::upper_bound(below.begin(), below.end() - 1, random.unit() * sum);
        row[k] = expert[static_cast<std::size_t>(found - below.begin())];
        if (std::find(row.begin(), row.begin() + static_cast<std::ptrdiff_t>(k), row[k]) ==
            row.begin() + static_cast<std::ptrdiff_t>(k))
          ++k;
      }
      std::memcpy(bytes.data() + at, row.data(), used * sizeof(std::int32_t));
    }
  }

  const SyntheticOptions& options_;
};

/// Chunks in order from a few threads, never more than a ring of them ahead of the reader.
class Pipeline {
public:
  Pipeline(const Maker& maker, const std::vector<Owner>& owners, const std::vector<Chunk>& chunks, unsigned threads)
      : maker_(maker), owners_(owners), chunks_(chunks), slots_(std::size_t{4} * threads) {
    for (unsigned i = 0; i < threads; ++i) team_.emplace_back([this] { work(); });
  }
  ~Pipeline() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    freed_.notify_all();
    for (std::thread& thread : team_) thread.join();
  }
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  /// Chunk `i`; called for 0, 1, 2, ... Valid until `release(i)`.
  std::span<const std::byte> wait(std::size_t i) {
    Slot& slot = slots_[i % slots_.size()];
    std::unique_lock lock(mutex_);
    made_.wait(lock, [&] { return slot.ready || failure_; });
    if (failure_) std::rethrow_exception(failure_);
    return std::span(slot.bytes).first(chunks_[i].bytes);
  }
  void release(std::size_t i) {
    {
      const std::lock_guard lock(mutex_);
      slots_[i % slots_.size()].ready = false;
      released_ = i + 1;
    }
    freed_.notify_all();
  }

private:
  struct Slot {
    std::vector<std::byte> bytes;
    bool ready = false;
  };

  void work() {
    try {
      while (const std::optional<std::size_t> i = take()) {
        Slot& slot = slots_[*i % slots_.size()];
        const Chunk& chunk = chunks_[*i];
        if (slot.bytes.size() < chunk.bytes) slot.bytes.resize(chunk.bytes);
        maker_.make(owners_[chunk.owner], chunk, std::span(slot.bytes).first(chunk.bytes));
        const std::lock_guard lock(mutex_);
        slot.ready = true;
        made_.notify_one();
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
      made_.notify_one();
    }
  }

  /// The next chunk to make, once its slot is free.
  std::optional<std::size_t> take() {
    std::unique_lock lock(mutex_);
    const std::size_t i = next_++;
    freed_.wait(lock, [&] { return stop_ || i >= chunks_.size() || i < released_ + slots_.size(); });
    return stop_ || i >= chunks_.size() ? std::nullopt : std::optional(i);
  }

  const Maker& maker_;
  const std::vector<Owner>& owners_;
  const std::vector<Chunk>& chunks_;
  std::vector<Slot> slots_;
  std::mutex mutex_;
  std::condition_variable made_, freed_;
  std::size_t next_ = 0, released_ = 0;
  bool stop_ = false;
  std::exception_ptr failure_;
  std::vector<std::thread> team_;
};

/// The layer of "blk.12.name" and the name; -1 for a global tensor.
std::pair<std::int64_t, std::string_view> layer_and_stem(std::string_view name) {
  if (!name.starts_with("blk.")) return {-1, name};
  const std::size_t dot = name.find('.', 4);
  return {std::stoll(std::string(name.substr(4, dot - 4))), name.substr(dot + 1)};
}

DType type_for(const TensorSpec& spec, const SyntheticOptions& options) {
  if (spec.integer) return DType::i32;
  if (spec.dims.size() < 2) return DType::f32;
  const DType dtype = options.dtype_of(spec);
  if (!has_random_blocks(dtype))
    throw Error(Code::unimplemented,
                fmt::format("{}: random {} blocks cannot be drawn", spec.name, dtype_info(dtype).name),
                "choose another recipe");
  return dtype;
}

/// Declares everything and decides who owns bytes.
class Plan {
public:
  Plan(const SyntheticOptions& options, GgufWriter& writer) : options_(options) {
    for (const TensorSpec& spec : expected_tensors(options.hp)) add(spec, writer);
  }

  std::vector<Owner> owners;
  std::vector<Chunk> chunks;
  SyntheticResult result;

private:
  using AliasKey = std::tuple<std::int64_t, std::string, DType, std::vector<std::int64_t>>;

  void add(const TensorSpec& spec, GgufWriter& writer) {
    const DType dtype = type_for(spec, options_);
    std::int64_t elems = 1;
    for (const std::int64_t n : spec.dims) elems *= n;
    const std::uint64_t bytes = row_bytes(dtype, static_cast<std::uint64_t>(elems));
    ++result.tensors;
    result.parameters += spec.integer ? 0 : static_cast<std::uint64_t>(elems);
    result.described_bytes += bytes;
    const std::string_view other = shared_with(spec, dtype);
    writer.declare(spec.name, dtype, spec.dims, other);
    if (!other.empty()) return;
    result.data_bytes += bytes;
    cut(spec, dtype, elems);
  }

  /// The earlier tensor whose bytes this one shares, or nothing. Only large matrices do: routers, hyper-connections and
  /// tables stay each layer's own, so that layers differ.
  std::string_view shared_with(const TensorSpec& spec, DType dtype) {
    const auto [layer, stem] = layer_and_stem(spec.name);
    const bool small = spec.integer || spec.dims.size() < 2 || contains(stem, "hc_") || contains(stem, "ffn_gate_inp");
    const std::int64_t period = contains(stem, "_exps.") ? options_.alias.experts : options_.alias.dense;
    if (layer < 0 || small || period <= 0) return {};
    const auto [found, is_new] =
        first_.try_emplace(AliasKey{layer % period, std::string(stem), dtype, spec.dims}, spec.name);
    return is_new ? std::string_view{} : std::string_view(found->second);
  }

  void cut(const TensorSpec& spec, DType dtype, std::int64_t elems) {
    const std::int64_t piece = spec.integer ? spec.dims.back() * 8192 : k_chunk_elems;
    for (std::int64_t first = 0, part = 0; first < elems; first += piece, ++part) {
      const std::int64_t n = std::min(piece, elems - first);
      chunks.push_back(
          {owners.size(), first, n, static_cast<std::uint64_t>(part), row_bytes(dtype, static_cast<std::uint64_t>(n))});
    }
    owners.push_back({spec, dtype, contents_of(spec, options_.gains), stream_of(spec.name), elems});
  }

  const SyntheticOptions& options_;
  std::map<AliasKey, std::string> first_;
};

} // namespace

SyntheticResult write_synthetic(const std::filesystem::path& path, const SyntheticOptions& options) {
  check_hparams(options.hp, "shape");
  if (!options.dtype_of) throw Error(Code::invalid_argument, "a synthetic model needs types for its tensors");
  GgufWriter writer(path);
  write_hparams(writer, options.hp);
  if (options.metadata) options.metadata(writer);
  const Plan plan(options, writer);
  writer.write({}); // the header, and with it the check of the disk space

  const Maker maker(options);
  Pipeline pipeline(maker, plan.owners, plan.chunks, std::max(1u, options.threads));
  std::uint64_t done = 0;
  for (std::size_t i = 0; i < plan.chunks.size(); ++i) {
    if (options.cancelled && options.cancelled())
      throw Error(Code::cancelled, "interrupted; the unfinished file was removed");
    writer.write(pipeline.wait(i));
    pipeline.release(i);
    done += plan.chunks[i].bytes;
    if (options.progress) options.progress(done, plan.result.data_bytes, plan.owners[plan.chunks[i].owner].spec.name);
  }
  writer.finish();
  return plan.result;
}

} // namespace seacliff
