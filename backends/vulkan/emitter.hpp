// How an op says what the device does for a node: dispatches with their operands, in order. What may run side by side
// and where temporaries lie is found out behind it.
#pragma once

#include "fusion.hpp"
#include "instance.hpp"

#include <seacliff/sdk/kernel.hpp>

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

namespace seacliff::vulkan {

/// A number that may depend on a symbol: factor * value of `sym`, the value of symbol 0 being 1.
struct Count {
  std::uint64_t factor = 1;
  std::uint32_t sym = 0;
  std::uint64_t most = 1; // at the symbol's maximum

  bool operator==(const Count&) const = default;
  Count operator*(std::uint64_t n) const { return {factor * n, sym, most * n}; }
};
constexpr Count fixed(std::uint64_t n) { return {n, 0, n}; }

/// Where an operand lies. `offset` in bytes.
struct Place {
  enum class Kind : std::uint32_t { none, value, block, constants, counters };
  Kind kind = Kind::none;
  std::uint32_t index = 0;
  std::uint64_t offset = 0;

  explicit operator bool() const { return kind != Kind::none; }
  bool operator==(const Place&) const = default;
  Place operator+(std::uint64_t bytes) const { return {kind, index, offset + bytes}; }
};

struct Use {
  Place place;
  bool writes = false; // else reads; what is read and written stands twice
  bool reads = true;
};
inline Use reads(Place place) { return {place, false, true}; }
inline Use writes(Place place) { return {place, true, false}; }
inline Use updates(Place place) { return {place, true, true}; }

/// Workgroups along one axis: ceil(count / per), not more than `most`.
struct Extent {
  Count count = fixed(1);
  std::uint32_t per = 1;
  std::uint32_t most = 0; // 0: the device's limit
};

/// A word of Push.n: a number, or where in the step's block a Count stands.
struct Word {
  std::uint32_t value = 0;
  bool counted = false;

  Word(std::uint32_t number) : value(number) {}
  Word(std::uint32_t offset, bool is_count) : value(offset), counted(is_count) {}
  bool operator==(const Word&) const = default;
};

/// One run of a shader.
struct Dispatch {
  std::string_view shader;
  std::vector<std::uint32_t> constants; // specialisation; the first is the size of the workgroup
  std::vector<Use> at;                  // in the order of Push.at; more than it has: see Program
  std::vector<Word> n;                  // in the order of Push.n
  Extent groups[3];
  std::uint32_t node = 0; // filled by the emitter
};

/// What a program is before it is planned.
struct Recording {
  std::vector<Dispatch> dispatches;
  std::vector<std::uint64_t> blocks; // bytes of each private piece of scratch
  std::vector<Count> counts;         // kept in the step's block
  std::vector<std::byte> constants;  // kept there, too
  std::uint64_t counters = 0;        // words there that are zero between dispatches
};

/// What ops may count on of the device.
struct Shape {
  std::uint32_t subgroup = 32;
  std::uint32_t most_groups_x = 65535;
  std::uint32_t most_threads = 128;   // of a workgroup
  std::uint32_t shared_bytes = 32768; // of a workgroup
  bool byte_dots = false;             // sums of products of bytes
  Matrix matrix = Matrix::none;
};

/// Activations as float16 in rows of whole 32 elements, zeros behind column k. With two parts a row is the sum of two
/// such rows, one behind the other: nearly float32.
struct HalfRows {
  Place x;
  Count rows;
  std::uint32_t k = 0, parts = 1;
};

/// A norm that the reader of its input does as it reads: y = x·gain/sqrt(mean(x²)+eps).
struct Norm {
  bool wanted = false;
  Place gain; // none: 1
  float eps = 0;
};

class Emitter {
public:
  Emitter(Recording& recording, const Shape& shape, std::span<const sdk::NodeView> nodes, const Fusion& fusion)
      : recording_(recording), shape_(shape), nodes_(nodes), fusion_(fusion) {}
  /// The node whose op is asked next.
  void begin(std::size_t index) { index_ = index; }

  const sdk::NodeView& node() const { return nodes_[index_]; }
  /// The node of this op whose work is part of this one's; nullptr: there is none.
  const sdk::NodeView* folded(std::string_view op) const;
  /// The same by its place: what writes the value that input `i` of `node` is, and what reads output 0 of this node.
  const sdk::NodeView* folded_before(const sdk::NodeView& node, std::uint32_t i) const;
  const sdk::NodeView* folded_behind() const;
  const Shape& shape() const { return shape_; }
  std::uint32_t subgroup() const { return shape_.subgroup; }

  /// Operands. An input that is to be normalised is what comes before the norm.
  Place in(std::uint32_t i) const { return in(node(), i); }
  Place out(std::uint32_t i) const { return out(node(), i); }
  Place in(const sdk::NodeView& node, std::uint32_t i) const;
  static Place out(const sdk::NodeView& node, std::uint32_t i) { return place(node.raw().out[i]); }
  Norm norm_of(std::uint32_t i) const;

  /// A piece of scratch for this node.
  Place block(std::uint64_t bytes);
  Place floats(Count count) { return block(count.most * 4); }
  /// Bytes that are the same in every step. Equal ones are kept once.
  Place constants(std::span<const std::byte> bytes);
  /// Words that are zero when a dispatch begins, and must be again when it ends: last_of() in last.glsl counts there.
  Place counters(std::uint64_t n);
  /// A number for the shader, as word of Push.n: count() in base.glsl reads it.
  Word word(Count count);
  static std::uint32_t word(float value);

  /// Rows of k float32 as float16; the same ones are made once.
  HalfRows half_of(Place x, Count rows, std::uint32_t k, std::uint32_t parts = 1);

  void add(Dispatch dispatch);

private:
  static Place place(std::uint32_t id) { return id == SCF_NONE ? Place{} : Place{Place::Kind::value, id, 0}; }

  Recording& recording_;
  Shape shape_;
  std::span<const sdk::NodeView> nodes_;
  const Fusion& fusion_;
  std::size_t index_ = 0;
  std::vector<std::pair<Place, HalfRows>> halves_; // of
};

/// Product of dimensions [begin, end) of a value.
Count count_of(const sdk::ValueView& value, std::uint32_t begin, std::uint32_t end);
inline Count elems_of(const sdk::ValueView& value) { return count_of(value, 0, value.rank()); }
inline Count rows_of(const sdk::ValueView& value) { return count_of(value, 0, value.rank() - 1); }
inline Count tokens_of(const sdk::ValueView& value) { return count_of(value, 0, 1); }
inline std::uint32_t u32(std::int64_t n) { return static_cast<std::uint32_t>(n); }

} // namespace seacliff::vulkan
