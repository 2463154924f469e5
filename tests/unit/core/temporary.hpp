// A path in the test's temporary directory, removed at the end.
#pragma once

#include "core/base/status.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <unistd.h>

namespace seacliff::test {

class TemporaryFile {
public:
  explicit TemporaryFile(std::string_view contents = {}) {
    static int count = 0;
    path_ = std::filesystem::path(testing::TempDir()) /
            ("seacliff-" + std::to_string(::getpid()) + "-" + std::to_string(++count) + ".gguf");
    if (!contents.empty()) std::ofstream(path_, std::ios::binary) << contents;
  }
  ~TemporaryFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::string contents() const {
    std::ostringstream text;
    text << std::ifstream(path_, std::ios::binary).rdbuf();
    return std::move(text).str();
  }

private:
  std::filesystem::path path_;
};

/// The text of the Error that `action` throws; fails the test when it throws none.
template <typename Action> std::string error_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_FALSE(error.status().message.empty());
    return error.what();
  }
  ADD_FAILURE() << "no Error was thrown";
  return {};
}

} // namespace seacliff::test
