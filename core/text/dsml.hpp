// Tool calls as the model writes them: <｜DSML｜tool_calls> blocks.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace seacliff {

/// What stands between tags.
inline constexpr std::string_view k_blanks = " \t\r\n\v\f";

/// One call of a tool.
struct ToolCall {
  std::string id; // given by whoever serves the call; the model never sees it
  std::string name;
  std::string arguments; // JSON text, an object

  bool operator==(const ToolCall&) const = default;
};

/// The block, beginning with two newlines; empty without calls. String arguments are written raw, others as their JSON
/// text; blank arguments count as {}, and what is no JSON object becomes one string parameter named "arguments".
std::string render_tool_calls(const std::vector<ToolCall>& calls);

/// How a block's tags are spelt. Models sometimes lose the first bar, or all of the mark.
enum class TagStyle { full, short_bar, plain };
/// "<｜DSML｜" + name, or "</｜DSML｜" + name, in the given spelling: no closing bracket.
std::string dsml_tag(TagStyle style, bool closing, std::string_view name);

/// Where a block begins in a text.
struct DsmlStart {
  std::size_t at = 0; // of its "<"
  TagStyle style = TagStyle::full;
};
/// The first block of the best spelling: full after two newlines, full, short, plain.
std::optional<DsmlStart> find_tool_calls(std::string_view text);

/// A parsed block.
struct DsmlBlock {
  std::vector<ToolCall> calls; // ids empty
  std::size_t bytes = 0;       // length of the block
};
/// Parses the block at the front of `text`. Nothing on any violation of the grammar, also when the end is missing.
std::optional<DsmlBlock> parse_tool_calls(std::string_view text, TagStyle style);

} // namespace seacliff
