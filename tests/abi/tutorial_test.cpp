// docs/writing-a-backend.md quotes code: each ```cpp block stands, as it is, in the file that the comment above it
// names. To add a quotation: <!-- path/from/the/root --> on the line above the block. tests/abi/tutorial runs the ```sh
// blocks.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace seacliff {
namespace {

std::string read(const std::string& path) {
  std::ifstream in(std::string(SEACLIFF_SOURCE_DIR) + "/" + path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return in ? std::move(text).str() : std::string();
}

struct Quotation {
  std::string file, text;
  std::size_t line = 0;
};

std::vector<Quotation> quotations(const std::string& page) {
  std::vector<Quotation> found;
  std::istringstream lines(page);
  std::string line, above;
  for (std::size_t number = 1; std::getline(lines, line); ++number, above = line) {
    if (line != "```cpp") continue;
    Quotation quotation{"", "", number};
    constexpr std::string_view open = "<!-- ", close = " -->";
    if (above.starts_with(open) && above.ends_with(close))
      quotation.file = above.substr(open.size(), above.size() - open.size() - close.size());
    while (std::getline(lines, line) && line != "```") {
      quotation.text += line + "\n";
      ++number;
    }
    ++number;
    found.push_back(quotation);
  }
  return found;
}

TEST(TutorialText, QuotesTheFiles) {
  const auto found = quotations(read("docs/writing-a-backend.md"));
  EXPECT_GE(found.size(), 10u);
  for (const Quotation& q : found) {
    const std::string file = read(q.file);
    EXPECT_NE(file.find("\n" + q.text), std::string::npos)
        << "docs/writing-a-backend.md:" << q.line << " is not in '" << q.file << "'";
  }
}

} // namespace
} // namespace seacliff
