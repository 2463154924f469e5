// The reports for machines.
#include "plugins/conformance/report.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>

namespace seacliff::conform {
namespace {

std::string escaped_xml(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
    case '<': result += "&lt;"; break;
    case '>': result += "&gt;"; break;
    case '&': result += "&amp;"; break;
    case '"': result += "&quot;"; break;
    default:
      if (static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t') result += c; // others are no XML
    }
  }
  return result;
}

std::string csv_cell(std::string_view text) {
  if (text.find_first_of(",\"\n") == std::string_view::npos) return std::string(text);
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"') result += '"';
    result += c;
  }
  return result + "\"";
}

std::string_view outcome_name(const Judged& judged) {
  switch (judged.result.outcome) {
  case Outcome::pass: return "pass";
  case Outcome::skip: return "skip";
  case Outcome::fail: return judged.excuse.empty() ? "fail" : "xfail";
  }
  return "";
}

std::string level_of(const Result& result) { return result.id.substr(0, result.id.find(':')); }

std::string texts(const Result& result) {
  std::string all;
  for (const Finding& finding : result.findings)
    all += fmt::format("{}[{}] {}", all.empty() ? "" : "\n", finding.check, finding.text);
  return all;
}

} // namespace

std::string to_junit(const std::vector<Judged>& all, std::string_view plugin) {
  struct Suite {
    int tests = 0, failures = 0, skipped = 0;
    double seconds = 0;
    std::string cases;
  };
  std::map<std::string, Suite> suites;
  for (const Judged& judged : all) {
    const Result& r = judged.result;
    Suite& suite = suites[level_of(r)];
    ++suite.tests;
    suite.seconds += r.seconds;
    suite.cases += fmt::format("    <testcase classname=\"{}.{}\" name=\"{}\" time=\"{:.3f}\">", escaped_xml(plugin),
                               level_of(r), escaped_xml(r.id + (r.title.empty() ? "" : " " + r.title)), r.seconds);
    if (judged.failed()) {
      ++suite.failures;
      suite.cases += fmt::format("<failure message=\"{}\">{}</failure>", escaped_xml(r.findings.front().check),
                                 escaped_xml(texts(r)));
    } else if (r.outcome != Outcome::pass) {
      ++suite.skipped;
      suite.cases += fmt::format("<skipped message=\"{}\"/>",
                                 escaped_xml(r.outcome == Outcome::skip ? r.reason : "xfail: " + judged.excuse));
    }
    suite.cases += "</testcase>\n";
  }
  std::string xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"seacliff-conform\">\n";
  for (const auto& [name, suite] : suites)
    xml += fmt::format("  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" skipped=\"{}\" time=\"{:.3f}\">\n{}"
                       "  </testsuite>\n",
                       escaped_xml(name), suite.tests, suite.failures, suite.skipped, suite.seconds, suite.cases);
  return xml + "</testsuites>\n";
}

std::string to_csv(const std::vector<Judged>& all) {
  std::string csv = "id,title,op,dtype,outcome,checks,seconds,metrics,text\n";
  for (const Judged& judged : all) {
    const Result& r = judged.result;
    std::string checks, metrics;
    for (const Finding& finding : r.findings) checks += (checks.empty() ? "" : " ") + finding.check;
    for (const auto& [name, value] : r.metrics)
      metrics += fmt::format("{}{}={:.4g}", metrics.empty() ? "" : " ", name, value);
    csv += fmt::format("{},{},{},{},{},{},{:.6f},{},{}\n", csv_cell(r.id), csv_cell(r.title), r.op, r.dtype,
                       outcome_name(judged), csv_cell(checks), r.seconds, csv_cell(metrics),
                       csv_cell(r.outcome == Outcome::skip ? r.reason : texts(r)));
  }
  return csv;
}

std::string to_markdown(const std::vector<Judged>& all, std::string_view plugin) {
  struct Cell {
    int passed = 0, run = 0, cases = 0;
  };
  std::vector<std::string> ops, formats; // in the order of the tests
  std::map<std::pair<std::string, std::string>, Cell> cells;
  const auto remember = [](std::vector<std::string>& list, const std::string& name) {
    if (std::find(list.begin(), list.end(), name) == list.end()) list.push_back(name);
  };
  for (const Judged& judged : all) {
    const Result& r = judged.result;
    if (r.op.empty()) continue;
    remember(ops, r.op);
    remember(formats, r.dtype);
    Cell& cell = cells[{r.op, r.dtype}];
    ++cell.cases;
    cell.run += r.outcome != Outcome::skip;
    cell.passed += r.outcome == Outcome::pass;
  }
  std::string text = fmt::format(
      "# {}: ops by format\n\nCases passed / cases run; `-`: declined, blank: no such case.\n\n| op |", plugin);
  for (const std::string& format : formats) text += fmt::format(" {} |", format);
  text += "\n|---|";
  for (std::size_t i = 0; i < formats.size(); ++i) text += "---|";
  for (const std::string& op : ops) {
    text += fmt::format("\n| `{}` |", op);
    for (const std::string& format : formats) {
      const auto at = cells.find({op, format});
      if (at == cells.end())
        text += "  |";
      else if (at->second.run == 0)
        text += " - |";
      else
        text += fmt::format(" {}{}/{} |", at->second.passed == at->second.run ? "" : "**✗** ", at->second.passed,
                            at->second.run);
    }
  }
  return text + "\n";
}

std::string to_json(const std::vector<Judged>& all, std::string_view plugin) {
  using Json = nlohmann::ordered_json;
  Json tests = Json::array();
  std::map<std::string, int> counts;
  for (const Judged& judged : all) {
    const Result& r = judged.result;
    ++counts[std::string(outcome_name(judged))];
    Json findings = Json::array();
    for (const Finding& finding : r.findings) findings.push_back({{"check", finding.check}, {"text", finding.text}});
    Json test{{"id", r.id}, {"title", r.title}, {"outcome", outcome_name(judged)}, {"seconds", r.seconds}};
    if (!r.op.empty()) test["op"] = r.op, test["dtype"] = r.dtype;
    if (!findings.empty()) test["findings"] = std::move(findings);
    if (!r.reason.empty()) test["reason"] = r.reason;
    if (!judged.excuse.empty()) test["xfail"] = judged.excuse;
    if (!r.notes.empty()) test["notes"] = r.notes;
    if (!r.metrics.empty()) test["metrics"] = r.metrics;
    tests.push_back(std::move(test));
  }
  const Json report{{"plugin", plugin}, {"counts", counts}, {"tests", std::move(tests)}};
  return report.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

} // namespace seacliff::conform
