#include "graph/run/session.hpp"

#include <algorithm>

namespace seacliff::graph {
namespace {

/// Tokens between checkpoints, doubled as a session grows. Steps end at them: never so often that a step is cut short.
std::int64_t first_interval(const Model& model) {
  const std::int64_t step = model.options().max_step;
  return (1024 + step - 1) / step * step;
}

} // namespace

std::uint64_t Snapshot::bytes() const {
  std::uint64_t sum = tokens.size() * sizeof(std::int32_t);
  for (const Part& part : parts) sum += part.data.size();
  return sum;
}

Session::Session(Model& model) : model_(model), slot_(model.take_slot()), interval_(first_interval(model)) {}
Session::~Session() { model_.free_slot(slot_); }

std::int64_t Session::oldest() const { return std::max(floor_, high_ - model_.options().rewind_rows); }

std::int64_t Session::next_checkpoint() const { return (position() / interval_ + 1) * interval_; }

void Session::advance(std::span<const std::int32_t> tokens) {
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
  high_ = std::max(high_, position());
  if (position() % interval_ == 0) save_checkpoint();
}

void Session::save_checkpoint() {
  const auto limit = static_cast<std::size_t>(model_.options().checkpoints);
  if (limit == 0) return;
  if (checkpoints_.size() == limit) { // thin out: half as many, twice as far apart
    interval_ *= 2;
    std::erase_if(checkpoints_, [this](const Checkpoint& c) { return c.position % interval_ != 0; });
    if (checkpoints_.size() == limit) checkpoints_.pop_front();
    if (position() % interval_ != 0) return;
  }
  Checkpoint checkpoint{position(), oldest(), {}};
  for (const StateTensor& state : model_.states())
    checkpoint.rings.push_back(state.ratio == 0 ? model_.read_rows(state, slot_, state.rows)
                                                : std::vector<std::byte>());
  checkpoints_.push_back(std::move(checkpoint));
}

Snapshot Session::snapshot() const {
  Snapshot snapshot;
  snapshot.tokens = tokens_;
  snapshot.oldest = oldest();
  for (const StateTensor& state : model_.states()) {
    const std::int64_t rows = state.filled_rows(position());
    snapshot.parts.push_back({state.name, state.dtype, rows, model_.read_rows(state, slot_, rows)});
  }
  return snapshot;
}

void Session::restore(const Snapshot& snapshot) {
  const auto position = static_cast<std::int64_t>(snapshot.tokens.size());
  if (position > model_.options().max_ctx)
    throw Error(Code::out_of_range,
                fmt::format("the snapshot has {} tokens, the context {}", position, model_.options().max_ctx),
                "raise --ctx");
  const auto& states = model_.states();
  const auto mismatch = [](const std::string& what) {
    return Error(Code::incompatible, "the snapshot does not fit this model: " + what,
                 "restore it into the same model with the same --exact, --kv8 and --idx4");
  };
  if (snapshot.parts.size() != states.size())
    throw mismatch(fmt::format("{} states instead of {}", snapshot.parts.size(), states.size()));
  for (std::size_t i = 0; i < states.size(); ++i) {
    const Snapshot::Part& part = snapshot.parts[i];
    const StateTensor& state = states[i];
    if (part.name != state.name || part.dtype != state.dtype || part.rows != state.filled_rows(position) ||
        part.data.size() != static_cast<std::size_t>(part.rows) * state.row_bytes)
      throw mismatch(fmt::format("{} differs in type or size", state.name));
  }
  for (std::size_t i = 0; i < states.size(); ++i) model_.write_rows(states[i], slot_, snapshot.parts[i].data);
  tokens_ = snapshot.tokens;
  high_ = position;
  floor_ = snapshot.oldest;
  checkpoints_.clear();
  interval_ = first_interval(model_);
}

void Session::rewind(std::int64_t position) {
  if (position < 0 || position > this->position())
    throw Error(Code::out_of_range, fmt::format("cannot go to position {} from {}", position, this->position()));
  std::erase_if(checkpoints_, [&](const Checkpoint& c) { return c.position > position; });
  if (position >= oldest()) {
    tokens_.resize(static_cast<std::size_t>(position));
    return;
  }
  const std::vector<std::int32_t> tokens(tokens_.begin(), tokens_.begin() + position);
  std::int64_t from = 0;
  floor_ = 0;
  if (!checkpoints_.empty()) {
    const Checkpoint& checkpoint = checkpoints_.back();
    const auto& states = model_.states();
    for (std::size_t i = 0; i < states.size(); ++i) model_.write_rows(states[i], slot_, checkpoint.rings[i]);
    from = checkpoint.position;
    floor_ = checkpoint.oldest;
  }
  tokens_.assign(tokens.begin(), tokens.begin() + from);
  high_ = from;
  const Feed again{this, std::span(tokens).subspan(static_cast<std::size_t>(from)), Want::none};
  feed(model_, {&again, 1}, {});
}

// ---- feeding --------------------------------------------------------------------------------------------------------

/// Cuts feeds into steps. Each step shares its tokens and logit rows evenly among the sessions that have some left.
class Feeder {
public:
  Feeder(Model& model, std::span<const Feed> feeds, std::int64_t chunk) : model_(model), feeds_(feeds) {
    const ModelOptions& options = model.options();
    max_tokens_ = chunk > 0 ? std::min(chunk, options.max_step) : options.max_step;
    for (const Feed& f : feeds) {
      const std::int64_t end = f.session->position() + static_cast<std::int64_t>(f.tokens.size());
      if (end > options.max_ctx)
        throw Error(Code::out_of_range,
                    fmt::format("{} tokens do not fit into the context of {}", end, options.max_ctx), "raise --ctx");
    }
    done_.assign(feeds.size(), 0);
  }

  /// False when nothing is left.
  bool step(const LogitsSink& sink) {
    assemble();
    if (runs_.empty()) return false;
    const std::span<const float> logits = model_.step(runs_, out_rows_);
    std::size_t row = 0;
    const auto vocab = static_cast<std::size_t>(model_.hparams().n_vocab);
    for (std::size_t r = 0; r < runs_.size(); ++r) {
      Session& session = *feeds_[feed_of_run_[r]].session;
      const std::int64_t begin = session.position();
      session.advance(runs_[r].tokens);
      for (const std::int64_t offset : wanted_[r])
        if (const std::size_t at = row++ * vocab; sink) sink(session, begin + offset, logits.subspan(at, vocab));
      done_[feed_of_run_[r]] += static_cast<std::int64_t>(runs_[r].tokens.size());
      total_ += static_cast<std::int64_t>(runs_[r].tokens.size());
    }
    return true;
  }

  std::int64_t total() const { return total_; }

private:
  std::int64_t left(std::size_t f) const { return static_cast<std::int64_t>(feeds_[f].tokens.size()) - done_[f]; }

  void assemble() {
    runs_.clear();
    out_rows_.clear();
    wanted_.clear();
    feed_of_run_.clear();
    std::int64_t active = 0;
    for (std::size_t f = 0; f < feeds_.size(); ++f) active += left(f) > 0 ? 1 : 0;
    std::int64_t tokens = max_tokens_, rows = model_.options().max_outputs, base = 0;
    for (std::size_t f = 0; f < feeds_.size() && tokens > 0; ++f) {
      if (left(f) == 0) continue;
      const std::int64_t take =
          share(f, std::max<std::int64_t>(1, tokens / active), std::max<std::int64_t>(1, rows / active), rows);
      --active;
      if (take == 0) continue;
      const Feed& feed = feeds_[f];
      runs_.push_back({feed.session->slot(), feed.session->position(),
                       feed.tokens.subspan(static_cast<std::size_t>(done_[f]), static_cast<std::size_t>(take))});
      feed_of_run_.push_back(f);
      wanted_.emplace_back();
      const bool last = feed.want == Want::last && take == left(f);
      for (std::int64_t t = last ? take - 1 : 0; t < take && (last || feed.want == Want::all); ++t) {
        wanted_.back().push_back(t);
        out_rows_.push_back(static_cast<std::int32_t>(base + t));
        --rows;
      }
      base += take;
      tokens -= take;
    }
  }

  /// Tokens that feed `f` puts into this step, 0 when there is no logit row left for it.
  std::int64_t share(std::size_t f, std::int64_t tokens, std::int64_t rows, std::int64_t rows_left) const {
    const Feed& feed = feeds_[f];
    const Session& session = *feed.session;
    std::int64_t take = std::min({left(f), tokens, session.next_checkpoint() - session.position()});
    if (feed.want == Want::all) take = std::min({take, rows, rows_left});
    if (feed.want == Want::last && take == left(f) && rows_left == 0) --take;
    return take;
  }

  Model& model_;
  std::span<const Feed> feeds_;
  std::int64_t max_tokens_ = 0, total_ = 0;
  std::vector<std::int64_t> done_;
  std::vector<Run> runs_;
  std::vector<std::int32_t> out_rows_;
  std::vector<std::vector<std::int64_t>> wanted_; // per run: offsets whose logits are wanted
  std::vector<std::size_t> feed_of_run_;
};

void feed(Model& model, std::span<const Feed> feeds, const LogitsSink& sink, std::int64_t chunk,
          const std::function<bool(std::int64_t)>& progress) {
  Feeder feeder(model, feeds, chunk);
  while (feeder.step(sink))
    if (progress && !progress(feeder.total())) return;
}

} // namespace seacliff::graph
