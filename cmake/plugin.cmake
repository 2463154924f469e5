# seacliff_add_plugin(NAME SOURCES...): a backend as a loadable module `scf_NAME.so` with NAME.scplugin.json beside it.
# It sees the ABI and the SDK only and exports one symbol. Comes with the installed SDK, too. The target
# `plugins` builds all of them.
function(seacliff_add_plugin name)
  add_library(scf_${name} MODULE ${ARGN})
  if(NOT TARGET plugins)
    add_custom_target(plugins)
  endif()
  add_dependencies(plugins scf_${name})
  target_link_libraries(scf_${name} PRIVATE seacliff-sdk::sdk)
  set(exports ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/plugin.map)
  set_target_properties(scf_${name} PROPERTIES PREFIX "" C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden
                        VISIBILITY_INLINES_HIDDEN ON LINK_DEPENDS ${exports})
  if(UNIX AND NOT APPLE)
    target_link_options(scf_${name} PRIVATE "LINKER:--version-script=${exports}")
  endif()
  if(DEFINED SEACLIFF_PLUGIN_DIR)
    set_target_properties(scf_${name} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${SEACLIFF_PLUGIN_DIR})
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(scf_${name} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fno-gnu-unique>)
  endif()
  set(manifest ${CMAKE_CURRENT_SOURCE_DIR}/${name}.scplugin.json)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${manifest})
  add_custom_command(TARGET scf_${name} POST_BUILD
    COMMAND ${CMAKE_COMMAND} -E copy_if_different ${manifest} $<TARGET_FILE_DIR:scf_${name}>)
  install(TARGETS scf_${name} LIBRARY DESTINATION lib/seacliff)
  install(FILES ${manifest} DESTINATION lib/seacliff)
endfunction()
