// What C++23 has for strings.
#pragma once

#include <string_view>

namespace seacliff {

inline bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

} // namespace seacliff
