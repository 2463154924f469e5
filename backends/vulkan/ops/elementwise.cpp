// Ops that look at one element, or one slot, at a time.
#include "elementwise.hpp"

#include "catalogue.hpp"

namespace seacliff::vulkan {
namespace {

sdk::Claim claim_any(const sdk::NodeView&) { return sdk::Claim::ok(); }

void emit_add(Emitter& e) {
  const Count n = elems_of(e.node().out(0));
  emit_elements(e, "add", {reads(e.in(0)), reads(e.in(1)), writes(e.out(0))}, n, {e.word(n)});
}

void emit_sqrt_softplus(Emitter& e) {
  const Count n = elems_of(e.node().out(0));
  emit_elements(e, "sqrt_softplus", {reads(e.in(0)), writes(e.out(0))}, n, {e.word(n)});
}

void emit_swiglu_op(Emitter& e) {
  const sdk::ValueView out = e.node().out(0);
  emit_swiglu(e, e.in(0), e.in(1), e.in(2), e.out(0), rows_of(out), out.cols());
}

void emit_sum_slots_op(Emitter& e) {
  const sdk::ValueView x = e.node().in(0);
  emit_sum_slots(e, e.in(0), e.out(0), tokens_of(x), x.dim(1), x.cols());
}

constexpr OpEntry k_ops[] = {
    {"add", claim_any, emit_add},
    {"sqrt_softplus", claim_any, emit_sqrt_softplus},
    {"swiglu", claim_any, emit_swiglu_op},
    {"sum_slots", claim_any, emit_sum_slots_op},
};

} // namespace

void emit_elements(Emitter& emitter, std::string_view shader, std::vector<Use> at, Count n, std::vector<Word> words) {
  constexpr std::uint32_t threads = 256, most_groups = 32768;
  Dispatch d;
  d.shader = shader;
  d.constants = {threads};
  d.at = std::move(at);
  d.n = std::move(words);
  d.groups[0] = {n, threads, most_groups};
  emitter.add(std::move(d));
}

void emit_swiglu(Emitter& emitter, Place gate, Place up, Place weights, Place out, Count rows, std::int64_t width) {
  const Count n = rows * static_cast<std::uint64_t>(width);
  emit_elements(emitter, "swiglu", {reads(gate), reads(up), reads(weights), writes(out)}, n,
                {emitter.word(n), u32(width), Emitter::word(static_cast<float>(emitter.node().attr_float("clamp")))});
}

void emit_sum_slots(Emitter& emitter, Place x, Place out, Count tokens, std::int64_t slots, std::int64_t width) {
  const Count n = tokens * static_cast<std::uint64_t>(width);
  emit_elements(emitter, "sum_slots", {reads(x), writes(out)}, n, {emitter.word(n), u32(width), u32(slots)});
}

std::span<const OpEntry> elementwise_ops() { return k_ops; }

} // namespace seacliff::vulkan
