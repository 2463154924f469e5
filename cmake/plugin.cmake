# seacliff_add_plugin(NAME SOURCES...): a backend as a loadable module `scf_NAME.so` with its manifest beside it.
# It sees the ABI and the SDK only. The target `plugins` builds all of them.
function(seacliff_add_plugin name)
  add_library(scf_${name} MODULE ${ARGN})
  if(NOT TARGET plugins)
    add_custom_target(plugins)
  endif()
  add_dependencies(plugins scf_${name})
  target_link_libraries(scf_${name} PRIVATE seacliff-sdk::sdk)
  set_target_properties(scf_${name} PROPERTIES PREFIX "" C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden
                        VISIBILITY_INLINES_HIDDEN ON)
  if(DEFINED SEACLIFF_PLUGIN_DIR)
    set_target_properties(scf_${name} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${SEACLIFF_PLUGIN_DIR})
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(scf_${name} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fno-gnu-unique>)
  endif()
  add_custom_command(TARGET scf_${name} POST_BUILD
    COMMAND ${CMAKE_COMMAND} -E copy_if_different ${CMAKE_CURRENT_SOURCE_DIR}/${name}.scplugin.json
            $<TARGET_FILE_DIR:scf_${name}>/${name}.scplugin.json)
endfunction()
