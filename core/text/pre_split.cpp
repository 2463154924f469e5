#include "core/text/pre_split.hpp"

#include "core/base/status.hpp"
#include "core/text/utf8.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>
#include <limits>
#include <string>

namespace seacliff {

namespace {

struct PcreFree {
  void operator()(pcre2_code* p) const { pcre2_code_free(p); }
  void operator()(pcre2_match_data* p) const { pcre2_match_data_free(p); }
  void operator()(pcre2_match_context* p) const { pcre2_match_context_free(p); }
  void operator()(pcre2_compile_context* p) const { pcre2_compile_context_free(p); }
};
template <typename T> using Pcre = std::unique_ptr<T, PcreFree>;

// White_Space of Unicode, spelt out: PCRE2's \s also takes U+180E.
#define SPACE_SET R"(\t-\r\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})"
#define SPACE "[" SPACE_SET "]"
#define NO_SPACE "[^" SPACE_SET "]"

constexpr std::array<const char*, 3> patterns = {
    R"(\p{N}{1,3})",
    R"([\x{4e00}-\x{9fa5}\x{3040}-\x{309f}\x{30a0}-\x{30ff}]+)",
    R"([!-/:-@\[-`{-~][A-Za-z]+)"
    R"(|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+)"
    R"(| ?[\p{P}\p{S}]+[\r\n]*)"
    "|" SPACE R"(*[\r\n]+)"
    "|" SPACE "+(?!" NO_SPACE ")"
    "|" SPACE "+",
};

#undef NO_SPACE
#undef SPACE
#undef SPACE_SET

std::string pcre_message(int code) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

} // namespace

struct PreSplitter::Impl {
  std::array<Pcre<pcre2_code>, patterns.size()> stages;
  Pcre<pcre2_match_context> limits;

  void cut(std::size_t stage, std::string_view fragment, pcre2_match_data* match,
           std::vector<std::string_view>& out) const;
};

/// Appends the matches of one stage and the gaps between them.
void PreSplitter::Impl::cut(std::size_t stage, std::string_view fragment, pcre2_match_data* match,
                            std::vector<std::string_view>& out) const {
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(fragment.data());
  std::size_t done = 0;
  while (done < fragment.size()) {
    const int rc =
        pcre2_match(stages[stage].get(), subject, fragment.size(), done, PCRE2_NO_UTF_CHECK, match, limits.get());
    if (rc == PCRE2_ERROR_NOMATCH) break;
    if (rc < 0) throw Error(Code::internal, fmt::format("splitting the text into words failed: {}", pcre_message(rc)));
    const PCRE2_SIZE* where = pcre2_get_ovector_pointer(match);
    if (where[0] > done) out.push_back(fragment.substr(done, where[0] - done));
    out.push_back(fragment.substr(where[0], where[1] - where[0]));
    done = where[1];
  }
  if (done < fragment.size()) out.push_back(fragment.substr(done));
}

PreSplitter::PreSplitter() : impl_(std::make_unique<Impl>()) {
  for (std::size_t i = 0; i < patterns.size(); ++i) {
    int error = 0;
    PCRE2_SIZE at = 0;
    impl_->stages[i].reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(patterns[i]), PCRE2_ZERO_TERMINATED,
                                         PCRE2_UTF | PCRE2_UCP, &error, &at, nullptr));
    if (!impl_->stages[i])
      throw Error(Code::internal,
                  fmt::format("the PCRE2 library refuses word pattern {} at {}: {}", i + 1, at, pcre_message(error)),
                  "install a PCRE2 with Unicode support");
    // Without JIT (some hardened systems) the interpreter gives the same pieces, only slower.
    pcre2_jit_compile(impl_->stages[i].get(), PCRE2_JIT_COMPLETE);
  }
  impl_->limits.reset(pcre2_match_context_create(nullptr));
  if (!impl_->limits) throw std::bad_alloc();
  // The default limit would refuse a run of some ten million spaces.
  pcre2_set_match_limit(impl_->limits.get(), std::numeric_limits<std::uint32_t>::max());
}

PreSplitter::~PreSplitter() = default;
PreSplitter::PreSplitter(PreSplitter&&) noexcept = default;
PreSplitter& PreSplitter::operator=(PreSplitter&&) noexcept = default;

namespace {

/// Length of the run of valid characters, or of bytes that are none, at the front of a non-empty text.
std::size_t same_validity(std::string_view text, bool& valid) {
  valid = utf8_head(text).kind == Utf8Head::Kind::valid;
  std::size_t n = 0;
  while (n < text.size()) {
    const Utf8Head head = utf8_head(text.substr(n));
    if ((head.kind == Utf8Head::Kind::valid) != valid) break;
    n += head.bytes;
  }
  return n;
}

} // namespace

std::vector<std::string_view> PreSplitter::split(std::string_view text) const {
  const Pcre<pcre2_match_data> match(pcre2_match_data_create(1, nullptr));
  if (!match) throw std::bad_alloc();
  std::vector<std::string_view> pieces, fragments, next;
  while (!text.empty()) {
    bool valid = false;
    const std::string_view run = text.substr(0, same_validity(text, valid));
    text.remove_prefix(run.size());
    if (!valid) {
      pieces.push_back(run);
      continue;
    }
    fragments.assign(1, run);
    for (std::size_t stage = 0; stage < patterns.size(); ++stage) {
      next.clear();
      for (const std::string_view fragment : fragments) impl_->cut(stage, fragment, match.get(), next);
      fragments.swap(next);
    }
    pieces.insert(pieces.end(), fragments.begin(), fragments.end());
  }
  return pieces;
}

} // namespace seacliff
