// STATE tensors indexed by position, and the runs of a step's ragged batch.
#pragma once

#include "isa.hpp"

#include <seacliff/sdk/kernel.hpp>

#include <cstring>

namespace seacliff::cpu {

/// The step inputs `pos` and `seq`.
struct Batch {
  const std::int32_t *pos, *seq;
  std::int64_t tokens;

  Batch(const sdk::Tensor& p, const sdk::Tensor& s) : pos(p.i32()), seq(s.i32()), tokens(p.elems()) {}
  std::int64_t slot(std::int64_t t) const { return seq[3 * t]; }
  std::int64_t first(std::int64_t t) const { return seq[3 * t + 1]; } // batch index of the run's first token
  std::int64_t last(std::int64_t t) const { return seq[3 * t + 2]; }
  std::int64_t start(std::int64_t t) const { return pos[first(t)]; } // position of the run's first token
};

/// Rows visible at position p of a state that gets one every `ratio` positions; 0 when there is none.
inline std::int64_t visible_rows(std::int64_t p, std::int64_t ratio, std::int64_t capacity) {
  return ratio > 0 ? std::min((p + 1) / ratio, capacity) : 0;
}

/// A state [slots, rows, width...] in f32 or f16.
class State {
public:
  explicit State(const sdk::Tensor& t)
      : data_(static_cast<std::byte*>(t.data)), half_(t.dtype == DType::f16), rows_(t.dim(1)),
        width_(t.elems() / std::max<std::int64_t>(1, t.dim(0) * t.dim(1))) {}

  bool half() const { return half_; }
  std::int64_t rows() const { return rows_; }
  std::int64_t width() const { return width_; }
  std::uint64_t stride() const { return static_cast<std::uint64_t>(width_) * (half_ ? 2 : 4); }
  std::byte* row(std::int64_t slot, std::int64_t r) const {
    return data_ + static_cast<std::uint64_t>(slot * rows_ + r) * stride();
  }
  void write(const Isa& isa, std::int64_t slot, std::int64_t r, const float* values) const {
    if (half_) {
      isa.to_half(values, row(slot, r), width_);
    } else {
      std::memcpy(row(slot, r), values, stride());
    }
  }
  void read(const Isa& isa, std::int64_t slot, std::int64_t r, float* values) const {
    if (half_) {
      isa.from_half(row(slot, r), values, width_);
    } else {
      std::memcpy(values, row(slot, r), stride());
    }
  }

private:
  std::byte* data_;
  bool half_;
  std::int64_t rows_, width_;
};

} // namespace seacliff::cpu
