// JSON handled as text, where the exact characters matter: a tool call that the model wrote must be shown to it again
// as it was.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace seacliff {

/// Whether `text` is one complete JSON value (and valid UTF-8).
bool is_json(std::string_view text);
/// A JSON string literal. Bytes that are no UTF-8 become U+FFFD.
std::string json_quote(std::string_view text);
/// The string that a JSON string literal stands for; nothing when it is none.
std::optional<std::string> json_string(std::string_view literal);
/// Keys (decoded) and values (as written, without surrounding blanks; views into `text`) of an object, in order.
/// Nothing when `text` is no JSON object.
std::optional<std::vector<std::pair<std::string, std::string_view>>> json_members(std::string_view text);
/// The same value with `, ` and `: ` as separators and no other blanks outside strings. `text` must be JSON.
std::string json_spaced(std::string_view text);

} // namespace seacliff
