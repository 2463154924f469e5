# precompile(TARGET [HEADER...]): the standard library, and headers that most of a target's sources want, are read once.
# A tree with -DSEACLIFF_PRECOMPILE=OFF proves that each source includes what it uses.
option(SEACLIFF_PRECOMPILE "precompiled headers" ON)
if(NOT SEACLIFF_PRECOMPILE)
  set(CMAKE_DISABLE_PRECOMPILE_HEADERS ON)
endif()
if(SEACLIFF_CCACHE AND SEACLIFF_PRECOMPILE) # ccache takes no precompiled header unless it may trust what it was made of
  foreach(language IN ITEMS C CXX)
    set(CMAKE_${language}_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros
        ${SEACLIFF_CCACHE})
  endforeach()
endif()

function(precompile target)
  target_precompile_headers(${target} PRIVATE <algorithm> <array> <chrono> <cmath> <cstdint> <cstring> <filesystem>
    <fstream> <functional> <limits> <map> <memory> <optional> <set> <span> <string> <string_view> <utility> <variant>
    <vector> ${ARGN})
endfunction()
