// The ops of the catalogue, as parameters of tests.
#pragma once

#include "ops/schema/schema.hpp"

#include <string>
#include <vector>

namespace seacliff::ops {

inline std::vector<std::string> op_names() {
  std::vector<std::string> names;
  for (const Schema& schema : catalogue()) names.emplace_back(schema.name);
  return names;
}

} // namespace seacliff::ops
