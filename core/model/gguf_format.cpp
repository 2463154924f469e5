#include "core/model/gguf_format.hpp"

#include <seacliff/sdk/dtype.hpp>

#include <fmt/format.h>

#include <array>
#include <iterator>

namespace seacliff::gguf {
namespace {

struct ForeignType {
  std::uint32_t number;
  std::string_view name;
};

// ggml's tensor types that are not in k_dtypes.
constexpr std::array k_foreign_types{
    ForeignType{2, "q4_0"},    ForeignType{3, "q4_1"},    ForeignType{6, "q5_0"},    ForeignType{7, "q5_1"},
    ForeignType{9, "q8_1"},    ForeignType{15, "q8_k"},   ForeignType{17, "iq2_xs"}, ForeignType{18, "iq3_xxs"},
    ForeignType{19, "iq1_s"},  ForeignType{20, "iq4_nl"}, ForeignType{21, "iq3_s"},  ForeignType{22, "iq2_s"},
    ForeignType{23, "iq4_xs"}, ForeignType{24, "i8"},     ForeignType{25, "i16"},    ForeignType{27, "i64"},
    ForeignType{28, "f64"},    ForeignType{29, "iq1_m"},  ForeignType{34, "tq1_0"},  ForeignType{35, "tq2_0"},
    ForeignType{40, "nvfp4"},  ForeignType{41, "q1_0"},   ForeignType{42, "q2_0"},
};
constexpr std::uint32_t k_first_private_type = 97;

constexpr bool removed(std::uint32_t number) {
  return number == 4 || number == 5 || (number >= 31 && number <= 33) || (number >= 36 && number <= 38);
}

} // namespace

std::string describe_type(std::uint32_t number) {
  if (const DTypeInfo* info = find_dtype(number)) return fmt::format("{} ({})", info->name, number);
  for (const ForeignType& type : k_foreign_types)
    if (type.number == number) return fmt::format("{} ({})", type.name, number);
  if (removed(number)) return fmt::format("a type that ggml has removed ({})", number);
  if (number >= k_first_private_type && number < 1024) return fmt::format("an ik_llama.cpp private type ({})", number);
  return fmt::format("an unknown type ({})", number);
}

std::string quote(std::string_view raw) {
  constexpr std::size_t k_shown = 80;
  std::string out = "\"";
  for (const char c : raw.substr(0, k_shown)) {
    if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\')
      out += c;
    else
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(c));
  }
  return out + (raw.size() > k_shown ? "...\"" : "\"");
}

} // namespace seacliff::gguf
