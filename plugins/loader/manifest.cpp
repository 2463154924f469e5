#include "plugins/loader/manifest.hpp"

#include "core/base/status.hpp"

#include <nlohmann/json.hpp>

#include <fstream>
#include <limits>

namespace seacliff::plugins {
namespace {

using Json = nlohmann::json;

[[noreturn]] void wrong(std::string message) { throw Error(Code::invalid_argument, std::move(message)); }

const Json& field(const Json& object, const char* key) {
  const auto it = object.find(key);
  if (it == object.end()) wrong(fmt::format("the manifest has no field \"{}\"", key));
  return *it;
}

std::string string_field(const Json& object, const char* key) {
  const Json& value = field(object, key);
  if (!value.is_string() || value.get_ref<const std::string&>().empty())
    wrong(fmt::format("field \"{}\" of the manifest must be a text", key));
  return value.get<std::string>();
}

std::uint32_t minor_field(const Json& object, const char* key) {
  const Json& value = field(object, key);
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > std::numeric_limits<std::uint32_t>::max())
    wrong(fmt::format("field \"abi.{}\" of the manifest must be a small whole number", key));
  return value.get<std::uint32_t>();
}

std::vector<std::string> needs_field(const Json& object) {
  std::vector<std::string> needs;
  const auto it = object.find("needs");
  if (it == object.end()) return needs;
  const auto text = [](const Json& item) { return item.is_string(); };
  if (!it->is_array() || !std::all_of(it->begin(), it->end(), text))
    wrong("field \"needs\" of the manifest must be a list of texts");
  return it->get<std::vector<std::string>>();
}

} // namespace

bool is_manifest(const std::filesystem::path& path) { return path.filename().string().ends_with(k_manifest_suffix); }

Manifest read_manifest(const std::filesystem::path& path) {
  std::ifstream in(path);
  if (!in) wrong("the manifest cannot be read");
  const Json json = Json::parse(in, nullptr, false);
  if (!json.is_object()) wrong("the manifest is not a JSON object");
  Manifest manifest;
  manifest.name = string_field(json, "name");
  manifest.library = string_field(json, "library");
  if (manifest.library.is_absolute()) wrong("field \"library\" of the manifest must be relative to it");
  const Json& abi = field(json, "abi");
  if (!abi.is_object()) wrong("field \"abi\" of the manifest must be {\"min\", \"max\"}");
  manifest.minor_min = minor_field(abi, "min");
  manifest.minor_max = minor_field(abi, "max");
  if (json.contains("kind")) manifest.kind = string_field(json, "kind");
  manifest.needs = needs_field(json);
  if (const auto it = json.find("priority"); it != json.end()) {
    if (!it->is_number_integer() || it->get<std::int64_t>() < -1000 || it->get<std::int64_t>() > 1000)
      wrong("field \"priority\" of the manifest must be a whole number from -1000 to 1000");
    manifest.priority = it->get<int>();
  }
  return manifest;
}

} // namespace seacliff::plugins
