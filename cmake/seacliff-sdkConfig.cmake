# find_package(seacliff-sdk): the target seacliff-sdk::sdk (headers) and the function seacliff_add_plugin.
include(${CMAKE_CURRENT_LIST_DIR}/seacliff-sdkTargets.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/plugin.cmake)
