// The piece splitting that comes before BPE: three regular expressions, one after another, as the DeepSeek-V3/V4
// tokenizer files state them.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

namespace seacliff {

/// Thread-safe once built.
class PreSplitter {
public:
  /// Throws Error(internal) when the regular-expression library refuses the patterns.
  PreSplitter();
  ~PreSplitter();
  PreSplitter(PreSplitter&&) noexcept;
  PreSplitter& operator=(PreSplitter&&) noexcept;

  /// Pieces of `text` in order, views into it; joined they are `text`. Bytes that are no UTF-8 form pieces of their
  /// own, one per run of them. Each expression cuts the fragments that the one before left; its matches and the gaps
  /// between them are the fragments for the next.
  std::vector<std::string_view> split(std::string_view text) const;

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

} // namespace seacliff
