// In which way a plugin made of subject.cpp is wrong, or right in a way of its own. To add one: here, in subject.cpp, a
// line in ../CMakeLists.txt, a line in ../conform_test.cpp.
#pragma once

#include <cstdint>

enum class Way : std::uint32_t {
  right,
  // right ones that are not like the CPU
  staged, // its first heap cannot be mapped, host memory is not imported: everything is copied
  async,  // submit() returns at once, a thread per queue does the work
  // wrong ones
  result,    // a product is wrong in one shape
  claim,     // claims an op that it does not compile
  bounds,    // writes one float behind its output
  input,     // writes into its input
  repeat,    // two runs differ in their last bits
  unpack,    // unpack is not the inverse of repack
  thread,    // leaves a thread behind
  file,      // leaves a file open
  memory,    // leaks with every open()
  close,     // crashes in close()
  print,     // prints in open()
  query,     // sets an environment variable in the query
  floats,    // denormals are flushed once it is loaded
  size,      // refuses hosts that know more
  exception, // an exception leaves submit()
  hang,      // submit() of one shape never returns
  exit,      // compile() of one op ends the process
  signal,    // signals of a failed submit never fail
  alloc,     // gives memory that is not there
  id,        // device ids change with the process
  twice,     // opens a device once only
  null,      // free(NULL) crashes
  block,     // says it is asynchronous and blocks
  value,     // ignores signals that are not larger
};

/// Of this library.
extern const Way k_way;
