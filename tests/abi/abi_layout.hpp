// What a version of scf_abi.h lays down: structs with the offsets of their members, functions in their order, enums and
// numbers. Read from the header's text, so that two versions can be compared in one program.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace seacliff::abi {

struct Member {
  std::string type, name; // of a function: everything but the name, parameters included
  std::uint64_t offset = 0;
};

struct Struct {
  std::vector<Member> members;
  std::uint64_t size = 0;
  bool grows = false; // begins with scf_hdr (rule E2)
};

struct Layout {
  std::map<std::string, Struct> structs;
  std::map<std::string, std::uint64_t> numbers;    // enumerators and numeric macros
  std::map<std::string, std::string> declarations; // functions and function types
};

/// For 64-bit machines. Throws std::runtime_error at the first thing it does not understand.
Layout read_layout(std::string_view header);

/// What an older reader or writer would stumble over, one sentence each; empty when `now` may stand where `then` stood.
/// Rules E1 (structs grow at their end), E7 (those without a header never), E10 (numbers stay).
std::vector<std::string> breaking_changes(const Layout& then, const Layout& now);

} // namespace seacliff::abi
