# Installs the SDK, copies one plugin folder (SOURCE) into an empty directory, builds it there and loads what comes out.
# Proves that a backend sees the ABI and the SDK only. Called by ctest with BUILD, SOURCE, NAME, WORK, LOAD, ...
set(ENV{CCACHE_SLOPPINESS} pch_defines,time_macros) # as cmake/precompiled.cmake
function(step)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE failed OUTPUT_VARIABLE text ERROR_VARIABLE text)
  if(failed)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}\n${text}")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})
step(${CMAKE_COMMAND} --install ${BUILD} --component sdk --prefix ${WORK}/sdk)
file(COPY ${SOURCE}/ DESTINATION ${WORK}/source)
step(${CMAKE_COMMAND} -S ${WORK}/source -B ${WORK}/build -G ${GENERATOR} -DCMAKE_PREFIX_PATH=${WORK}/sdk
     -DCMAKE_BUILD_TYPE=${BUILD_TYPE} -DCMAKE_CXX_COMPILER=${CXX} -DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER}
     -DCMAKE_CXX_FLAGS=${FLAGS} ${OPTIONS})
step(${CMAKE_COMMAND} --build ${WORK}/build --parallel 2)
file(GLOB_RECURSE libraries ${WORK}/build/scf_${NAME}.so)
list(LENGTH libraries found)
if(NOT found EQUAL 1)
  message(FATAL_ERROR "expected one scf_${NAME}.so, found: ${libraries}")
endif()
step(${LOAD} ${libraries})
file(REMOVE_RECURSE ${WORK})
