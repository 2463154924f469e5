// The text form, reading. print.cpp writes it; the grammar stands in ir.hpp.
#include "graph/ir/ir.hpp"

#include <charconv>
#include <limits>
#include <string>
#include <unordered_map>

namespace seacliff::graph {
namespace {

/// One line of the text; `fail` knows where we are.
class Line {
public:
  Line(std::string_view text, std::size_t number) : text_(text), number_(number) {}

  [[noreturn]] void fail(std::string_view message) const { fail_at(at_, message); }
  [[noreturn]] void fail_at(std::size_t at, std::string_view message) const {
    throw Error(Code::invalid_argument, fmt::format("graph text, line {} column {}: {}", number_, at + 1, message));
  }

  std::size_t position() {
    skip_spaces();
    return at_;
  }
  bool at_end() {
    skip_spaces();
    return at_ == text_.size() || text_[at_] == '#';
  }
  char peek() {
    skip_spaces();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(std::string_view token) {
    skip_spaces();
    if (text_.substr(at_, token.size()) != token) return false;
    at_ += token.size();
    return true;
  }
  void expect(std::string_view token) {
    if (!take(token)) fail(fmt::format("expected '{}'", token));
  }
  void expect_end() {
    if (!at_end()) fail("expected the end of the line");
  }

  std::string_view word(std::string_view what) {
    skip_spaces();
    const std::size_t begin = at_;
    while (at_ < text_.size() && is_word(text_[at_])) ++at_;
    if (at_ == begin) fail(fmt::format("expected {}", what));
    return text_.substr(begin, at_ - begin);
  }
  std::string name(std::string_view what) { return peek() == '"' ? quoted() : std::string(word(what)); }

  std::string quoted() {
    expect("\"");
    std::string out;
    while (at_ < text_.size() && text_[at_] != '"') {
      if (text_[at_] != '\\') {
        out.push_back(text_[at_++]);
        continue;
      }
      ++at_;
      out.push_back(escaped());
    }
    if (at_ == text_.size()) fail("expected '\"' at the end of the string");
    ++at_;
    return out;
  }

  std::int64_t integer(std::string_view what, std::int64_t least) {
    const std::size_t begin = position();
    const std::string_view digits = word(what);
    std::int64_t out = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
    if (error != std::errc() || end != digits.data() + digits.size()) fail_at(begin, fmt::format("expected {}", what));
    if (out < least) fail_at(begin, fmt::format("{} must be at least {}", what, least));
    return out;
  }

  /// An integer, a float or a string.
  ops::AttrValue attr_value() {
    if (peek() == '"') return quoted();
    const std::size_t begin = position();
    const std::string_view digits = word("an integer, a float or a string");
    const char *first = digits.data(), *last = digits.data() + digits.size();
    if (digits.find_first_not_of("-0123456789") == std::string_view::npos) {
      std::int64_t out = 0;
      const auto [end, error] = std::from_chars(first, last, out);
      if (error == std::errc() && end == last) return out;
    } else {
      double out = 0;
      const auto [end, error] = std::from_chars(first, last, out);
      if (error == std::errc() && end == last) return out;
    }
    fail_at(begin, fmt::format("'{}' is no integer, float or string", digits));
  }

private:
  static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-' || c == '/' || c == '+';
  }
  void skip_spaces() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\r')) ++at_;
  }
  char escaped() {
    if (at_ == text_.size()) fail("expected a character after '\\'");
    switch (const char c = text_[at_++]) {
    case '"':
    case '\\': return c;
    case 'n': return '\n';
    case 't': return '\t';
    case 'x': {
      unsigned byte = 0;
      const std::string_view digits = text_.substr(at_, 2);
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
      if (error != std::errc() || end != digits.data() + 2) fail("expected two hexadecimal digits after '\\x'");
      at_ += 2;
      return static_cast<char>(byte);
    }
    default: fail_at(at_ - 1, "only \\\" \\\\ \\n \\t and \\xNN are known escapes");
    }
  }

  std::string_view text_;
  std::size_t number_;
  std::size_t at_ = 0;
};

class Parser {
public:
  Graph run(std::string_view text) {
    std::size_t number = 0;
    while (!text.empty()) {
      const std::size_t end = text.find('\n');
      Line line(text.substr(0, end), ++number);
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
      if (line.at_end()) continue;
      statement(line);
      line.expect_end();
    }
    return std::move(graph_);
  }

private:
  struct Output {
    ValueId id = k_none; // k_none: new
    std::string name;
    bool typed = false;
    ValueType type;
  };

  void statement(Line& line) {
    if (line.peek() == '%') return node(line);
    const std::size_t begin = line.position();
    const std::string_view keyword = line.word("a statement");
    if (keyword == "graph") {
      graph_.name = line.quoted();
    } else if (keyword == "symbol") {
      symbol(line);
    } else {
      for (const Role role : {Role::input, Role::output, Role::weight, Role::state, Role::temp})
        if (keyword == role_name(role)) return value(line, role);
      line.fail_at(begin, fmt::format("'{}' begins no statement", keyword));
    }
  }

  void symbol(Line& line) {
    const std::size_t begin = line.position();
    std::string name = line.name("the name of a symbol");
    line.expect("<=");
    const std::int64_t max = line.integer("a maximum", 1);
    if (!symbols_.emplace(name, static_cast<std::uint32_t>(symbols_.size() + 1)).second)
      line.fail_at(begin, fmt::format("symbol '{}' is declared twice", name));
    graph_.add_symbol(std::move(name), max);
  }

  void value(Line& line, Role role) {
    const std::size_t begin = line.position();
    line.expect("%");
    std::string name = line.name("the name of a value");
    line.expect(":");
    ValueType value_type = type(line);
    if (values_.count(name) != 0) line.fail_at(begin, fmt::format("value '{}' is declared twice", name));
    declare(role, std::move(value_type), std::move(name));
  }

  ValueId declare(Role role, ValueType value_type, std::string name) {
    const ValueId id = graph_.add_value(role, std::move(value_type), name);
    values_.emplace(std::move(name), id);
    return id;
  }

  ValueType type(Line& line) {
    const std::size_t begin = line.position();
    const std::string_view dtype = line.word("a type");
    const DTypeInfo* info = find_dtype(dtype);
    if (info == nullptr) line.fail_at(begin, fmt::format("there is no format '{}'", dtype));
    ValueType out{info->dtype, {}};
    line.expect("[");
    if (line.take("]")) return out;
    do out.dims.push_back(dim(line));
    while (line.take(","));
    line.expect("]");
    if (out.dims.size() > SCF_MAX_RANK)
      line.fail_at(begin, fmt::format("a type has at most {} dimensions", SCF_MAX_RANK));
    return out;
  }

  Dim dim(Line& line) {
    const std::size_t begin = line.position();
    const char first = line.peek();
    if ((first >= '0' && first <= '9') || first == '-' || first == '+') return {line.integer("a dimension", 0), 0};
    const std::string name = line.name("a dimension");
    const auto it = symbols_.find(name);
    if (it == symbols_.end()) line.fail_at(begin, fmt::format("there is no symbol '{}'", name));
    return {graph_.symbol(it->second).max, it->second};
  }

  void node(Line& line) {
    const std::size_t begin = line.position();
    std::vector<Output> outs;
    do outs.push_back(output(line));
    while (line.take(","));
    line.expect("=");
    const std::string op(line.word("an op"));
    std::vector<ValueId> in = inputs(line);
    Attrs attrs = attributes(line);
    std::string name = line.take("@") ? line.name("the name of a node") : outs[0].name;
    std::uint32_t source_line = 0;
    if (line.take("line")) {
      const std::size_t at = line.position();
      const std::int64_t number = line.integer("a line number", 0);
      if (number > std::numeric_limits<std::uint32_t>::max()) line.fail_at(at, "the line number is too large");
      source_line = static_cast<std::uint32_t>(number);
    }
    try {
      append(std::move(outs), op, std::move(in), std::move(attrs), std::move(name), source_line);
    } catch (const Error& error) {
      line.fail_at(begin, error.what());
    }
  }

  Output output(Line& line) {
    const std::size_t begin = line.position();
    line.expect("%");
    Output out;
    out.name = line.name("the name of a value");
    if (const auto it = values_.find(out.name); it != values_.end()) out.id = it->second;
    if (line.take(":")) {
      if (out.id != k_none) line.fail_at(begin, fmt::format("value '{}' is declared twice", out.name));
      out.typed = true;
      out.type = type(line);
    }
    return out;
  }

  std::vector<ValueId> inputs(Line& line) {
    std::vector<ValueId> in;
    line.expect("(");
    if (line.take(")")) return in;
    do in.push_back(input(line));
    while (line.take(","));
    line.expect(")");
    return in;
  }

  ValueId input(Line& line) {
    if (line.take("_")) return k_none;
    const std::size_t begin = line.position();
    line.expect("%");
    const std::string name = line.name("the name of a value");
    const auto it = values_.find(name);
    if (it == values_.end()) line.fail_at(begin, fmt::format("value '{}' is not defined yet", name));
    return it->second;
  }

  Attrs attributes(Line& line) {
    Attrs attrs;
    if (!line.take("{") || line.take("}")) return attrs;
    do {
      const std::size_t begin = line.position();
      std::string key = line.name("the name of an attribute");
      if (attrs.items().count(key) != 0) line.fail_at(begin, fmt::format("attribute '{}' stands twice", key));
      line.expect("=");
      attrs.set(std::move(key), line.attr_value());
    } while (line.take(","));
    line.expect("}");
    return attrs;
  }

  void append(std::vector<Output> outs, const std::string& op, std::vector<ValueId> in, Attrs attrs, std::string name,
              std::uint32_t source_line) {
    std::vector<ValueType> inferred;
    std::vector<ValueId> ids;
    for (std::size_t o = 0; o < outs.size(); ++o) {
      Output& out = outs[o];
      if (out.id == k_none && !out.typed) {
        if (inferred.empty()) inferred = infer_types(graph_, op, in, attrs);
        if (o >= inferred.size())
          throw Error(Code::invalid_argument, fmt::format("op '{}' has {} outputs", op, inferred.size()));
        out.type = inferred[o];
      }
      ids.push_back(out.id != k_none ? out.id : declare(Role::temp, std::move(out.type), std::move(out.name)));
    }
    graph_.add_node_into(op, std::move(in), std::move(ids), std::move(attrs), std::move(name), source_line);
  }

  Graph graph_;
  std::unordered_map<std::string, std::uint32_t> symbols_;
  std::unordered_map<std::string, ValueId> values_;
};

} // namespace

Graph parse(std::string_view text) { return Parser().run(text); }

} // namespace seacliff::graph
