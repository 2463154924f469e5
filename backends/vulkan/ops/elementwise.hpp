// Dispatches over elements, also as parts of composites.
#pragma once

#include "emitter.hpp"

namespace seacliff::vulkan {

/// A shader whose threads take elements 0..n in turn.
void emit_elements(Emitter& emitter, std::string_view shader, std::vector<Use> at, Count n, std::vector<Word> words);

/// out[rows,width] = gated gate and up, times a weight per row where there are weights; attribute *clamp* of the node.
void emit_swiglu(Emitter& emitter, Place gate, Place up, Place weights, Place out, Count rows, std::int64_t width);
/// out[tokens,width] = sum of x[tokens,slots,width] over the slots.
void emit_sum_slots(Emitter& emitter, Place x, Place out, Count tokens, std::int64_t slots, std::int64_t width);

} // namespace seacliff::vulkan
