#include "gemm.hpp"

#include <utility>

namespace seacliff::cpu {

Gemm::Gemm(const Isa& isa, const sdk::ValueView& weight, bool act8)
    : format_(isa.find(weight.dtype())), act8_(act8), act_(act8 ? format_->act : Act::none),
      n_(weight.dim(weight.rank() - 2)), k_(weight.cols()),
      row_bytes_(seacliff::row_bytes(weight.dtype(), static_cast<std::uint64_t>(k_))) {}

void Gemm::run(GemmArgs args, const Activations& x) const {
  if (args.rows <= 0 || args.tokens <= 0) return;
  const std::int64_t few = x.many ? format_->few_of_many : k_few_tokens;
  if (args.w2 != nullptr && (act_ == Act::none || pack() == nullptr || args.tokens <= few)) {
    GemmArgs first = args;
    first.next = args.w = std::exchange(first.w2, nullptr);
    run(first, x);
    args.y = args.y2;
    args.w2 = nullptr;
  }
  args.w_stride = row_bytes_;
  if (args.k == 0) args.k = k_;
  args.x = x.data;
  args.x_stride = x.stride;
  args.scratch = x.scratch;
  args.packed = x.packed;
  args.act8 = act8_;
  if (act_ == Act::none) return format_->gemm(args);
  (args.tokens > few || x.packed || x.act != act_ ? format_->gemm_many : format_->gemm_act)(args);
}

void Gemm::run_squares(GemmArgs args) const {
  args.w_stride = row_bytes_;
  format_->gemm_squares(args);
}

void Gemm::multiply(const sdk::Tensor& w, std::int64_t first_row, const Activations& x, const Block2& part, float* y,
                    std::int64_t y_stride, bool stream, const std::byte* next) const {
  GemmArgs args{};
  args.w = w.row(first_row + part.rows.begin);
  args.rows = part.rows.end - part.rows.begin;
  args.tokens = part.tokens.end - part.tokens.begin;
  args.y = y + part.tokens.begin * y_stride + part.rows.begin;
  args.y_stride = y_stride;
  args.next = next == nullptr && part.next >= 0 ? w.row(first_row + part.next) : next;
  args.stream = stream;
  Activations from = x;
  const PackedShape tile = act_ == Act::none ? k_packed_plain : k_packed_codes;
  from.data += x.packed ? static_cast<std::uint64_t>(part.tokens.begin / tile.tokens) * k_packed_bytes
                        : static_cast<std::uint64_t>(part.tokens.begin) * x.stride;
  run(args, from);
}

std::uint64_t Quantiser::bytes(std::int64_t max_rows, std::uint32_t workers) const {
  if (few_ == Act::none) return own_bytes(max_rows) * workers;
  const std::int64_t alone = std::min(max_rows, k_alone / k_);
  return row_ * static_cast<std::uint64_t>(std::max(max_rows, alone * workers)) + own_bytes(max_rows) * workers;
}

Activations Quantiser::prepare(const float* x, std::int64_t rows, std::int64_t tokens, std::byte* scratch,
                               const sdk::Worker& worker) const {
  if (few_ == Act::none)
    return {reinterpret_cast<const std::byte*>(x), static_cast<std::uint64_t>(k_) * 4, Act::none,
            own_bytes(rows) != 0 ? scratch + own_bytes(rows) * worker.index() : nullptr};
  const Act act = tokens <= k_few_tokens ? few_ : many_;
  const bool alone = rows * k_ <= k_alone || worker.count() == 1;
  const std::int64_t copies = alone ? worker.count() : 1;
  std::byte* own = scratch + row_ * static_cast<std::uint64_t>(rows * copies) + own_bytes(rows) * worker.index();
  if (alone) scratch += static_cast<std::uint64_t>(rows * worker.index()) * row_;
  const Range mine = alone ? Range{0, rows} : worker.share(rows);
  for (std::int64_t r = mine.begin; r < mine.end; ++r)
    isa_.quantise(act, x + r * k_, 0, k_, k_, scratch + static_cast<std::uint64_t>(r) * row_, true);
  if (!alone) worker.barrier();
  return {scratch, row_, act, own, 0, tokens > k_few_tokens};
}

std::uint64_t Quantiser::packed_bytes(std::int64_t max_tokens, std::int64_t groups, std::uint32_t workers) const {
  const std::int64_t rows = max_tokens * groups;
  if (!packs(max_tokens)) return bytes(rows, workers);
  return std::max(bytes(k_few_tokens * groups, workers),
                  tile_bytes(max_tokens, groups) + own_packed_bytes(rows) * workers);
}

std::uint64_t Quantiser::unpacked_bytes(std::int64_t max_tokens, std::uint32_t workers) const {
  if (!packs(max_tokens)) return bytes(max_tokens, workers);
  return std::max(bytes(k_few_tokens, workers), own_packed_bytes(max_tokens) * workers);
}

Activations Quantiser::packed_at(std::byte* tiles, std::int64_t tokens, std::byte* own) const {
  const auto count = static_cast<std::uint64_t>((tokens + tile().tokens - 1) / tile().tokens);
  return {tiles, count * k_packed_bytes, many_, own, tile_bytes(tokens, 1), true, true};
}

template <class Rows>
void Quantiser::pack_all(const Activations& tiles, std::int64_t tokens, std::int64_t groups, const sdk::Worker& worker,
                         sdk::Ticket& ticket, Rows rows_of) const {
  const std::int64_t most = tile().tokens, n = (tokens + most - 1) / most;
  sdk::take_pieces(ticket, n * groups, [&](std::int64_t i) {
    const std::int64_t tile = i / groups, g = i % groups, first = tile * most;
    const std::int64_t count = std::min(most, tokens - first);
    PackArgs args = rows_of(first, count, g);
    args.tokens = count;
    args.k = k_;
    args.out = const_cast<std::byte*>(tiles.data) + tiles.group * static_cast<std::uint64_t>(g) +
               static_cast<std::uint64_t>(tile) * k_packed_bytes;
    args.out_stride = tiles.stride;
    pack_(args);
  });
  worker.barrier();
}

void Quantiser::pack_rows(const float* x, std::int64_t tokens, std::int64_t groups, const Activations& tiles,
                          std::byte* rows, const sdk::Worker& worker, sdk::Ticket& ticket) const {
  pack_all(tiles, tokens, groups, worker, ticket, [&](std::int64_t first, std::int64_t count, std::int64_t g) {
    if (few_ == Act::none) {
      const auto bytes = static_cast<std::uint64_t>(k_) * sizeof(float);
      const auto* row = reinterpret_cast<const std::byte*>(x + (first * groups + g) * k_);
      return PackArgs{row, bytes * static_cast<std::uint64_t>(groups), 0, 0, nullptr, 0};
    }
    for (std::int64_t t = 0; t < count; ++t)
      isa_.quantise(many_, x + ((first + t) * groups + g) * k_, 0, k_, k_,
                    rows + static_cast<std::uint64_t>(t) * bare_row(), false);
    return PackArgs{rows, bare_row(), 0, 0, nullptr, 0};
  });
}

Activations Quantiser::prepare_packed(const float* x, std::int64_t tokens, std::int64_t groups, std::byte* scratch,
                                      const sdk::Worker& worker, sdk::Ticket& ticket) const {
  if (!packs(tokens)) return prepare(x, tokens * groups, tokens, scratch, worker);
  std::byte* rows = scratch + tile_bytes(tokens, groups) + own_packed_bytes(tokens * groups) * worker.index();
  const Activations tiles = packed_at(scratch, tokens, rows + own_rows_bytes());
  pack_rows(x, tokens, groups, tiles, rows, worker, ticket);
  return tiles;
}

Activations Quantiser::prepare_form(const sdk::KernelCall& call, const sdk::Worker& worker, sdk::Ticket& ticket) const {
  const float* x = call.input(0).f32();
  const std::int64_t tokens = call.input(0).rows();
  if (!packs(tokens)) return prepare(x, tokens, tokens, call.scratch.data(), worker);
  std::byte* rows = call.scratch.data() + own_packed_bytes(tokens) * worker.index();
  const Activations tiles = packed_at(call.form, tokens, rows + own_rows_bytes());
  if (!call.formed) pack_rows(x, tokens, 1, tiles, rows, worker, ticket);
  return tiles;
}

std::uint64_t Quantiser::taken_bytes(std::int64_t max_tokens, std::int64_t groups) const {
  return packs(max_tokens) ? static_cast<std::uint64_t>(max_tokens * groups) * bare_row() : 0;
}

void Quantiser::take(const float* x, Range range, std::byte* rows) const {
  for (std::int64_t at = range.begin; at < range.end;) {
    const std::int64_t row = at / k_, begin = at % k_, n = std::min(k_ - begin, range.end - at);
    isa_.quantise(many_, x + at, begin, n, k_, rows + static_cast<std::uint64_t>(row) * bare_row(), false);
    at += n;
  }
}

Activations Quantiser::pack_taken(const std::byte* rows, std::int64_t tokens, std::int64_t groups, std::byte* scratch,
                                  const sdk::Worker& worker, sdk::Ticket& ticket) const {
  const std::uint64_t token = static_cast<std::uint64_t>(groups) * bare_row();
  std::byte* own = scratch + tile_bytes(tokens, groups) + own_packed_bytes(tokens * groups) * worker.index();
  const Activations tiles = packed_at(scratch, tokens, own + own_rows_bytes());
  pack_all(tiles, tokens, groups, worker, ticket, [&](std::int64_t first, std::int64_t, std::int64_t g) {
    const std::uint64_t at = static_cast<std::uint64_t>(first) * token + static_cast<std::uint64_t>(g) * bare_row();
    return PackArgs{rows + at, token, 0, 0, nullptr, 0};
  });
  return tiles;
}

void Quantiser::fill_tile(const float* x, std::int64_t stride, std::int64_t count, Range part, std::byte* own,
                          const Activations& tiles, std::int64_t tile) const {
  for (std::int64_t t = 0; t < count; ++t)
    isa_.quantise(many_, x + t * stride, part.begin, part.end - part.begin, k_,
                  own + static_cast<std::uint64_t>(t) * bare_row(), false);
  PackArgs args{own, bare_row(), count, k_, nullptr, tiles.stride};
  args.out = const_cast<std::byte*>(tiles.data) + static_cast<std::uint64_t>(tile) * k_packed_bytes;
  args.begin = part.begin;
  args.n = part.end - part.begin;
  pack_(args);
}

void Quantiser::pack(const Activations& rows, const std::int32_t* pick, std::int64_t count, const Activations& tiles,
                     std::int64_t first) const {
  for (std::int64_t t = 0; t < count; t += k_packed_tokens, ++first)
    pack_({rows.data, rows.stride, std::min(k_packed_tokens, count - t), k_,
           const_cast<std::byte*>(tiles.data) + static_cast<std::uint64_t>(first) * k_packed_bytes, tiles.stride,
           pick + t});
}

} // namespace seacliff::cpu
