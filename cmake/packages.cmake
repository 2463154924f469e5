# Debian packages, made from the two components of the installation:
#   cpack --config build/CPackConfig.cmake      (in the folder where they shall lie)
# `runtime` is the program with its backends, `sdk` what an author of plugins needs. Needs dpkg-dev and file.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME seacliff)
set(CPACK_PACKAGE_VENDOR "Sea Cliff")
set(CPACK_PACKAGE_CONTACT "Sea Cliff developers <seacliff@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Runs DeepSeek V4 language models, every device a plugin")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_COMPONENTS_ALL runtime sdk)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON) # Depends is what the binaries are linked with, as dpkg-shlibdeps finds it
set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME seacliff)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_RECOMMENDS libvulkan1) # the vulkan backend looks for it at run time
set(CPACK_DEBIAN_SDK_PACKAGE_NAME seacliff-sdk)
set(CPACK_DEBIAN_SDK_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_SDK_PACKAGE_SUGGESTS "g++, cmake (>= 3.25)")
set(CPACK_DEBIAN_SDK_PACKAGE_RECOMMENDS seacliff) # to run what was written
set(CPACK_COMPONENT_RUNTIME_DESCRIPTION
    "The program seacliff with its backends. Reads GGUF files, turns official checkpoints into them, runs them on\nwhatever computes here and says which operation runs where and why.")
set(CPACK_COMPONENT_SDK_DESCRIPTION
    "For those who write a backend: the C header of the plugin interface, the C++ headers on top of it, a plugin to\ncopy and a tutorial. CMake: find_package(seacliff-sdk). Others: pkg-config seacliff-sdk.")
include(CPack)
