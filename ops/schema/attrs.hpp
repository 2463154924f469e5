// Attributes that a composite hands down to the ops it is made of.
#pragma once

#include "ops/schema/schema.hpp"

namespace seacliff::ops {

/// The attributes named that `from` has.
inline Attrs pick(const Attrs& from, std::initializer_list<std::string_view> keys) {
  Attrs picked;
  for (const std::string_view key : keys)
    if (const auto it = from.items().find(key); it != from.items().end()) picked.set(it->first, it->second);
  return picked;
}

inline Attrs rope_attrs(const Attrs& from) {
  return pick(from, {"rot", "base", "yarn", "factor", "orig_ctx", "beta_fast", "beta_slow"});
}

} // namespace seacliff::ops
