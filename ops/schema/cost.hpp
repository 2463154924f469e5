// Building blocks for the cost functions. All numbers are for the maxima of the symbols.
#pragma once

#include "ops/schema/operands.hpp"

namespace seacliff::ops {

/// Bytes of one value; 0 for an absent one.
inline double bytes(const ValueType* type) { return type ? static_cast<double>(type->max_bytes()) : 0; }
inline double elems(const ValueType* type) { return type ? static_cast<double>(type->max_elems()) : 0; }
inline double extent(const ValueType* type, std::size_t axis) { return static_cast<double>(type->dims[axis].max); }

/// Reads every input and writes every output once.
Cost streamed(Types in, Types out, double flops_per_output);
/// The sum over the nodes of the decomposition: what a kernel of its own can only better.
Cost composed(std::string_view op, Types in, Types out, const Attrs& attrs);

} // namespace seacliff::ops
