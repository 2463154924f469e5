// Where nano lies.
#pragma once

#include <filesystem>

namespace seacliff::test {

inline const std::filesystem::path k_nano = std::filesystem::path(SEACLIFF_SOURCE_DIR) / "models" / "nano";

} // namespace seacliff::test
