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

# The presets compile several sources of a target at a time (CMAKE_UNITY_BUILD): from scratch that takes a fifth less. A
# tree without it, for work on the code, proves that sources stand alone.
if(CMAKE_UNITY_BUILD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wno-subobject-linkage>) # takes included sources for headers
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:--param=ggc-min-heapsize=1000000>) # KiB before it looks for garbage
endif()

function(precompile target)
  target_precompile_headers(${target} PRIVATE <algorithm> <array> <chrono> <cmath> <cstdint> <cstring> <filesystem>
    <fstream> <functional> <limits> <map> <memory> <optional> <set> <span> <string> <string_view> <utility> <variant>
    <vector> ${ARGN})
endfunction()

# precompile_for_many(NAME PROGRAM|LIBRARY PACKAGE HEADER...): the same, once for all that say precompile_as(TARGET NAME).
# The compiler wants the same -O and -fPIE or -fPIC there and every macro that was set, hence a target of its own, of nothing.
function(precompile_for_many name kind package)
  set(source ${CMAKE_CURRENT_BINARY_DIR}/${name}.cpp)
  if(kind STREQUAL "PROGRAM")
    file(CONFIGURE OUTPUT ${source} CONTENT "int main() {}\n")
    add_executable(${name} EXCLUDE_FROM_ALL ${source})
    target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1>) # as tools/ and tests/
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})
  else()
    file(CONFIGURE OUTPUT ${source} CONTENT "extern const int ${name} = 0;\n")
    add_library(${name} STATIC EXCLUDE_FROM_ALL ${source})
  endif()
  target_link_libraries(${name} PRIVATE fmt::fmt ${package})
  precompile(${name} <fmt/format.h> ${ARGN})
endfunction()
function(precompile_as target name)
  target_precompile_headers(${target} REUSE_FROM ${name})
endfunction()
