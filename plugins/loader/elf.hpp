// What a shared object needs, read from the file without loading it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace seacliff::plugins {

/// Names of the libraries that the file asks for ("libasan.so.8"); empty when it is no 64-bit ELF file of this machine.
/// A library built with a sanitizer ends the process that loads it without one: this is how to know before.
std::vector<std::string> needed_libraries(const std::filesystem::path& file);

} // namespace seacliff::plugins
