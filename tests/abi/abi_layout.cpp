#include "tests/abi/abi_layout.hpp"

#include <algorithm>
#include <regex>
#include <sstream>
#include <stdexcept>

namespace seacliff::abi {
namespace {

struct Size {
  std::uint64_t bytes = 0, align = 1;
};

[[noreturn]] void lost(const std::string& what) { throw std::runtime_error("scf_abi.h: cannot read '" + what + "'"); }

std::string without_comments(std::string_view text) {
  static const std::regex comments(R"(/\*[^]*?\*/)");
  return std::regex_replace(std::string(text), comments, " ");
}

std::string trim(std::string text) {
  text = std::regex_replace(text, std::regex(R"(\s+)"), " ");
  text.erase(0, text.find_first_not_of(' '));
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

/// At `separator` outside of brackets of any kind.
std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  int depth = 0;
  for (const char c : text) {
    depth += c == '(' || c == '{' || c == '[' ? 1 : c == ')' || c == '}' || c == ']' ? -1 : 0;
    if (c == separator && depth == 0)
      parts.emplace_back();
    else
      parts.back() += c;
  }
  for (std::string& part : parts) part = trim(part);
  std::erase(parts, "");
  return parts;
}

class Reader {
public:
  explicit Reader(std::string_view header) {
    std::string text = without_comments(header);
    read_macros(text);
    text = std::regex_replace(text, std::regex(R"((^|\n)\s*#[^\n]*)"), "\n");
    text = std::regex_replace(text, std::regex(R"(extern "C" \{)"), "");
    for (const std::string& statement : split(text, ';')) read_statement(statement);
  }

  Layout layout;

private:
  void read_macros(const std::string& text) {
    static const std::regex macro(R"(#define (SCF_\w+) (0x[0-9a-f]+|[0-9]+)u)");
    for (std::sregex_iterator m(text.begin(), text.end(), macro), end; m != end; ++m)
      layout.numbers[(*m)[1]] = std::stoull((*m)[2], nullptr, 0);
  }

  void read_statement(const std::string& statement) {
    std::smatch m;
    static const std::regex enumeration(R"(enum \{(.*)\})"), structure(R"(typedef struct (\w+) \{(.*)\} (\w+))"),
        opaque(R"(typedef struct (\w+) (\w+))"), function_type(R"(typedef (.*)\(\*(\w+)\)(\(.*\)))"),
        function(R"(SCF_EXPORT (.*) (\w+)(\(.*\)))");
    if (std::regex_match(statement, m, enumeration))
      read_enum(m[1]);
    else if (std::regex_match(statement, m, structure) && m[1] == m[3])
      read_struct(m[1], m[2]);
    else if (std::regex_match(statement, m, function_type) || std::regex_match(statement, m, function))
      layout.declarations[m[2]] = trim(m[1].str() + m[3].str());
    else if (!std::regex_match(statement, opaque) && statement != "}")
      lost(statement);
  }

  void read_enum(const std::string& body) {
    static const std::regex enumerator(R"((SCF_\w+) = ([0-9]+)u)");
    for (const std::string& item : split(body, ',')) {
      std::smatch m;
      if (!std::regex_match(item, m, enumerator)) lost(item);
      layout.numbers[m[1]] = std::stoull(m[2]);
    }
  }

  void read_struct(const std::string& name, const std::string& body) {
    Struct made;
    std::uint64_t align = 1;
    for (const std::string& line : split(body, ';'))
      for (Member member : members(line)) {
        const Size size = size_of(member.type);
        made.size = (made.size + size.align - 1) / size.align * size.align;
        member.offset = made.size;
        made.size += size.bytes;
        align = std::max(align, size.align);
        made.members.push_back(std::move(member));
      }
    made.size = (made.size + align - 1) / align * align;
    made.grows = !made.members.empty() && made.members.front().type == "scf_hdr";
    align_of_[name] = align;
    layout.structs[name] = std::move(made);
  }

  /// `uint32_t a, b`, `int64_t dims[SCF_MAX_RANK]`, `const uint32_t *in, *out`, functions, a union.
  std::vector<Member> members(const std::string& line) const {
    std::smatch m;
    static const std::regex function(R"((.*)\(\*(\w+)\)(\(.*\)))"), united(R"((union \{.*\}) (\w+))"),
        plain(R"(((?:const )?(?:struct )?\w+(?:\*| const\*)*) ?(.*))"), name(R"((\**)(\w+)((?:\[\w+\])?))");
    if (std::regex_match(line, m, united)) return {{m[1], m[2]}};
    if (std::regex_match(line, m, function)) return {{trim(m[1].str() + "(*)" + m[3].str()), m[2]}};
    if (!std::regex_match(line, m, plain)) lost(line);
    const std::string type = m[1], names = m[2];
    std::vector<Member> made;
    for (const std::string& item : split(names, ',')) {
      if (!std::regex_match(item, m, name)) lost(line);
      made.push_back({type + m[1].str() + m[3].str(), m[2]});
    }
    return made;
  }

  Size size_of(const std::string& type) const {
    static const std::map<std::string, std::uint64_t> scalars{{"uint8_t", 1},  {"uint32_t", 4}, {"int32_t", 4},
                                                              {"uint64_t", 8}, {"int64_t", 8},  {"double", 8}};
    std::smatch m;
    if (std::regex_match(type, m, std::regex(R"(union \{(.*)\})"))) {
      Size largest;
      for (const std::string& line : split(m[1], ';'))
        for (const Member& member : members(line)) {
          const Size size = size_of(member.type);
          largest = {std::max(largest.bytes, size.bytes), std::max(largest.align, size.align)};
        }
      return largest;
    }
    if (type.find('*') != std::string::npos) return {8, 8};
    if (std::regex_match(type, m, std::regex(R"((\w+)\[(\w+)\])"))) {
      const Size one = size_of(m[1]);
      const std::string count = m[2];
      const auto known = layout.numbers.find(count);
      return {one.bytes * (known != layout.numbers.end() ? known->second : std::stoull(count)), one.align};
    }
    if (const auto scalar = scalars.find(type); scalar != scalars.end()) return {scalar->second, scalar->second};
    const auto known = layout.structs.find(type);
    if (known == layout.structs.end()) lost(type);
    return {known->second.size, align_of_.at(type)};
  }

  std::map<std::string, std::uint64_t> align_of_;
};

} // namespace

Layout read_layout(std::string_view header) { return Reader(header).layout; }

std::vector<std::string> breaking_changes(const Layout& then, const Layout& now) {
  std::vector<std::string> found;
  const auto say = [&](const std::string& text) { found.push_back(text); };
  for (const auto& [name, old] : then.structs) {
    const auto at = now.structs.find(name);
    if (at == now.structs.end()) {
      say(name + " is gone");
      continue;
    }
    const Struct& fresh = at->second;
    for (std::size_t i = 0; i < old.members.size(); ++i) {
      const Member& a = old.members[i];
      if (i >= fresh.members.size()) {
        say(name + "." + a.name + " is gone");
        continue;
      }
      const Member& b = fresh.members[i];
      if (a.name != b.name)
        say(name + "." + a.name + ": in its place stands " + b.name);
      else if (a.type != b.type)
        say(name + "." + a.name + ": was '" + a.type + "', is '" + b.type + "'");
      else if (a.offset != b.offset)
        say(name + "." + a.name + " has moved");
    }
    if (fresh.size < old.size) say(name + " is smaller");
    if (!old.grows && fresh.members.size() > old.members.size()) say(name + " has no header and has grown");
  }
  for (const auto& [name, value] : then.numbers) {
    const auto at = now.numbers.find(name);
    if (at == now.numbers.end())
      say(name + " is gone");
    else if (at->second != value)
      say(name + " has another value");
  }
  for (const auto& [name, text] : then.declarations) {
    const auto at = now.declarations.find(name);
    if (at == now.declarations.end())
      say(name + " is gone");
    else if (at->second != text)
      say(name + ": was '" + text + "', is '" + at->second + "'");
  }
  return found;
}

} // namespace seacliff::abi
