// What a shared object needs and offers, read from the file without loading it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace seacliff::plugins {

/// Names of the libraries that the file asks for ("libasan.so.8"); empty when it is no 64-bit ELF file of this machine.
/// A library built with a sanitizer ends the process that loads it without one: this is how to know before.
std::vector<std::string> needed_libraries(const std::filesystem::path& file);

/// Names that the file offers to others: defined, global or weak, visible. nullopt when it is no 64-bit ELF file or has
/// no table of sections.
std::optional<std::vector<std::string>> exported_symbols(const std::filesystem::path& file);

} // namespace seacliff::plugins
