// The text form, writing. parse.cpp reads it.
#include "graph/ir/ir.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

namespace seacliff::graph {
namespace {

using Buffer = fmt::memory_buffer;

constexpr std::size_t k_widest_column = 72; // longer left sides are not aligned to

void append(Buffer& out, std::string_view text) { out.append(text.data(), text.data() + text.size()); }

bool is_bare(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-' || c == '/' || c == '+';
  });
}

void append_quoted(Buffer& out, std::string_view text) {
  out.push_back('"');
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (c == '\n') {
      append(out, "\\n");
    } else if (c == '\t') {
      append(out, "\\t");
    } else if (byte < 0x20 || byte == 0x7f) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", byte);
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

void append_name(Buffer& out, std::string_view name) {
  if (is_bare(name))
    append(out, name);
  else
    append_quoted(out, name);
}

void append_symbol(Buffer& out, std::string_view name) {
  const bool looks_like_number =
      !name.empty() && ((name[0] >= '0' && name[0] <= '9') || name[0] == '-' || name[0] == '+');
  if (looks_like_number)
    append_quoted(out, name);
  else
    append_name(out, name);
}

void append_value(Buffer& out, const Graph& graph, ValueId id) {
  if (id == k_none) {
    out.push_back('_');
    return;
  }
  out.push_back('%');
  append_name(out, graph.value(id).name);
}

void append_type(Buffer& out, const Graph& graph, const ValueType& type) {
  const DTypeInfo* info = find_dtype(static_cast<std::uint32_t>(type.dtype));
  append(out, info != nullptr ? info->name : "unknown");
  out.push_back('[');
  for (std::size_t i = 0; i < type.dims.size(); ++i) {
    if (i > 0) out.push_back(',');
    const Dim& dim = type.dims[i];
    if (dim.sym > 0 && dim.sym <= graph.symbols().size())
      append_symbol(out, graph.symbol(dim.sym).name);
    else
      fmt::format_to(std::back_inserter(out), "{}", dim.max);
  }
  out.push_back(']');
}

void append_attr(Buffer& out, const ops::AttrValue& value) {
  if (const auto* i = std::get_if<std::int64_t>(&value)) {
    fmt::format_to(std::back_inserter(out), "{}", *i);
  } else if (const auto* f = std::get_if<double>(&value)) {
    const std::size_t begin = out.size();
    fmt::format_to(std::back_inserter(out), "{}", *f); // the shortest digits that read back as the same number
    const std::string_view digits(out.data() + begin, out.size() - begin);
    if (std::isfinite(*f) && digits.find_first_of(".e") == std::string_view::npos) append(out, ".0");
  } else {
    append_quoted(out, std::get<std::string>(value));
  }
}

void pad_to(Buffer& out, std::size_t line_begin, std::size_t width) {
  while (out.size() - line_begin < width) out.push_back(' ');
}

class Printer {
public:
  explicit Printer(const Graph& graph) : graph_(graph), typed_(graph.values().size(), false) {}

  std::string run() {
    append(out_, "graph ");
    append_quoted(out_, graph_.name);
    append(out_, "\n");
    for (const Symbol& symbol : graph_.symbols()) {
      append(out_, "symbol ");
      append_symbol(out_, symbol.name);
      fmt::format_to(std::back_inserter(out_), " <= {}\n", symbol.max);
    }
    declarations();
    nodes();
    return fmt::to_string(out_);
  }

private:
  /// Temporaries are declared by the node that defines them; only those without such a node need a line.
  void declarations() {
    std::vector<bool> declare(graph_.values().size(), true);
    for (const Node& node : graph_.nodes()) {
      for (const ValueId id : node.in)
        if (id < declare.size() && declare[id] && graph_.value(id).role == Role::temp) typed_[id] = true; // read first
      for (const ValueId id : node.out)
        if (id < declare.size() && graph_.value(id).role == Role::temp && !typed_[id]) declare[id] = false;
    }
    std::size_t width = 0;
    for (const Value& value : graph_.values())
      if (declare[value.id]) width = std::max(width, value.name.size() + 8);
    width = std::min(width, k_widest_column);
    for (const Value& value : graph_.values()) {
      typed_[value.id] = declare[value.id];
      if (!declare[value.id]) continue;
      const std::size_t begin = out_.size();
      append(out_, role_name(value.role));
      pad_to(out_, begin, 7);
      append_value(out_, graph_, value.id);
      pad_to(out_, begin, width);
      append(out_, " : ");
      append_type(out_, graph_, value.type);
      append(out_, "\n");
    }
  }

  void nodes() {
    const std::vector<bool> declared = typed_;
    Buffer side;
    std::size_t width = 0;
    for (const Node& node : graph_.nodes()) {
      side.clear();
      left_side(side, node);
      if (side.size() <= k_widest_column) width = std::max(width, side.size());
    }
    typed_ = declared;
    std::optional<std::uint32_t> layer;
    for (const Node& node : graph_.nodes()) {
      if (node.id == 0 || layer_of(node.name) != layer) out_.push_back('\n');
      layer = layer_of(node.name);
      const std::size_t begin = out_.size();
      left_side(out_, node);
      pad_to(out_, begin, width);
      right_side(node);
      append(out_, "\n");
    }
  }

  void left_side(Buffer& out, const Node& node) {
    for (std::size_t o = 0; o < node.out.size(); ++o) {
      const ValueId id = node.out[o];
      if (o > 0) append(out, ", ");
      append_value(out, graph_, id);
      if (id == k_none || typed_[id]) continue;
      append(out, " : ");
      append_type(out, graph_, graph_.value(id).type);
      typed_[id] = true;
    }
  }

  void right_side(const Node& node) {
    append(out_, " = ");
    append(out_, node.op);
    out_.push_back('(');
    for (std::size_t i = 0; i < node.in.size(); ++i) {
      if (i > 0) append(out_, ", ");
      append_value(out_, graph_, node.in[i]);
    }
    out_.push_back(')');
    if (!node.attrs.items().empty()) {
      std::string_view comma = " {";
      for (const auto& [key, value] : node.attrs.items()) {
        append(out_, comma);
        append_name(out_, key);
        out_.push_back('=');
        append_attr(out_, value);
        comma = ", ";
      }
      out_.push_back('}');
    }
    append(out_, " @");
    append_name(out_, node.name);
    if (node.source_line != 0) fmt::format_to(std::back_inserter(out_), " line {}", node.source_line);
  }

  const Graph& graph_;
  std::vector<bool> typed_; // per value: its type has been printed
  Buffer out_;
};

} // namespace

std::string print(const Graph& graph) { return Printer(graph).run(); }

std::string print_type(const Graph& graph, const ValueType& type) {
  Buffer out;
  append_type(out, graph, type);
  return fmt::to_string(out);
}

std::string print_attr(const ops::AttrValue& value) {
  Buffer out;
  append_attr(out, value);
  return fmt::to_string(out);
}

} // namespace seacliff::graph
