// A sequence with its state: feed tokens, get logits, go back, save and load.
#pragma once

#include "graph/run/model.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace seacliff::graph {

/// The state of one sequence at one position, in the graph's own row layout: the same on every backend.
struct Snapshot {
  struct Part {
    std::string name; // of the state tensor
    DType dtype = DType::f16;
    std::int64_t rows = 0;       // of the ring, or rows of a cache that are filled
    std::vector<std::byte> data; // [rows, row_bytes]
  };
  std::vector<std::int32_t> tokens; // its size is the position
  std::int64_t oldest = 0;          // smallest position that the rings can go back to
  std::vector<Part> parts;

  std::uint64_t bytes() const;
};

/// Takes a slot of the model for its lifetime. The model must outlive it. Not thread-safe.
class Session {
public:
  /// Throws Error(resource_exhausted) when all slots are taken.
  explicit Session(Model& model);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  std::int64_t slot() const { return slot_; }
  std::int64_t position() const { return static_cast<std::int64_t>(tokens_.size()); }
  std::span<const std::int32_t> tokens() const { return tokens_; }

  Snapshot snapshot() const;
  /// Throws Error(incompatible) when the snapshot is of another model or cache type, out_of_range when it is longer
  /// than this context.
  void restore(const Snapshot& snapshot);
  /// Goes back to the first `position` tokens. Free for a few tokens; else from a checkpoint, with the tokens since
  /// computed again. Throws Error(out_of_range) for a position ahead of the session's.
  void rewind(std::int64_t position);

private:
  friend class Feeder;

  struct Checkpoint {
    std::int64_t position = 0, oldest = 0;
    std::vector<std::vector<std::byte>> rings; // by state, empty for caches
  };

  void advance(std::span<const std::int32_t> tokens); // after a step
  void save_checkpoint();
  std::int64_t oldest() const; // smallest position reachable without a checkpoint
  std::int64_t next_checkpoint() const;

  Model& model_;
  std::int64_t slot_ = 0;
  std::vector<std::int32_t> tokens_;
  std::int64_t high_ = 0;  // positions below were written; rings still hold the newest of them
  std::int64_t floor_ = 0; // rings hold nothing older than what this position needs
  std::int64_t interval_;  // tokens between checkpoints
  std::deque<Checkpoint> checkpoints_;
};

/// Which rows of a feed are wanted.
enum class Want { none, last, all };

/// Tokens for one session.
struct Feed {
  Session* session = nullptr;
  std::span<const std::int32_t> tokens;
  Want want = Want::last;
};

/// Called with the logits of the token at `position`, in order of position for each session; the span is valid during
/// the call.
using LogitsSink = std::function<void(Session& session, std::int64_t position, std::span<const float> logits)>;

/// Feeds several sessions together, in as few steps as the model allows; every session gets its share of each step.
/// `chunk` > 0 limits the tokens of one step. Throws Error(out_of_range) before anything is computed when a context
/// would overflow. `progress` (may be empty) gets the tokens done so far after each step; returning false stops after
/// it: the tokens so far count.
void feed(Model& model, std::span<const Feed> feeds, const LogitsSink& sink, std::int64_t chunk = 0,
          const std::function<bool(std::int64_t done)>& progress = {});

} // namespace seacliff::graph
