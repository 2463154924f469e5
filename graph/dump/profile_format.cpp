#include "graph/dump/profile.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace seacliff::graph {
namespace {

using Json = nlohmann::ordered_json;

double rate(double amount, double seconds) { return seconds > 0 ? amount / seconds * 1e-9 : 0; }
double part(double of, double whole) { return whole > 0 ? of / whole : 0; }

/// Three digits that count, as far as a table has room.
std::string number(double value) {
  if (value < 0.00005) return "-";
  return fmt::format("{:.{}f}", value, value < 0.1 ? 4 : value < 10 ? 3 : value < 100 ? 2 : 1);
}

std::string percent(double share) { return share < 0.0005 ? "-" : fmt::format("{:.1f} %", 100 * share); }

std::string line(const ProfileRow& row, std::size_t width, double step_s, double read_gbps) {
  const double gbps = rate(row.bytes, row.seconds);
  return fmt::format("  {:<{}}{:>7}{:>11}{:>9}{:>9}{:>10}{:>10}{:>11}\n", row.name, width, row.nodes,
                     number(row.seconds * 1e3), percent(part(row.seconds, step_s)),
                     percent(part(row.wait, row.seconds)), number(gbps), percent(part(gbps, read_gbps)),
                     number(rate(row.flops, row.seconds)));
}

std::string table(const NamedProfile& named, ProfileBy by, double read_gbps) {
  const std::vector<ProfileRow> rows = named.profile->rows(by);
  double outside = 0;
  const ProfileRow total = named.profile->total(&outside);
  constexpr std::string_view rest = "(outside of nodes)";
  std::size_t width = rest.size();
  for (const ProfileRow& row : rows) width = std::max(width, row.name.size());
  std::string text = fmt::format("  {:<{}}{:>7}{:>11}{:>9}{:>9}{:>10}{:>10}{:>11}\n", profile_by_name(by), width,
                                 "nodes", "ms/step", "share", "wait", "GB/s", "of mem.", "GFLOP/s");
  for (const ProfileRow& row : rows) text += line(row, width, total.seconds, read_gbps);
  text += fmt::format("  {:<{}}{:>7}{:>11}{:>9}\n", rest, width, "", number(outside * 1e3),
                      percent(part(outside, total.seconds)));
  return text + line(total, width, total.seconds, read_gbps) + "\n";
}

Json to_json(const ProfileRow& row, double step_s, double read_gbps) {
  const double gbps = rate(row.bytes, row.seconds);
  Json json{{"name", row.name}};
  if (!row.op.empty()) json["op"] = row.op;
  json.update({{"nodes", row.nodes},
               {"ms", row.seconds * 1e3},
               {"share", part(row.seconds, step_s)},
               {"wait_share", part(row.wait, row.seconds)},
               {"weight_bytes", row.bytes},
               {"gbps", gbps},
               {"bandwidth_share", part(gbps, read_gbps)},
               {"flops", row.flops},
               {"gflops", rate(row.flops, row.seconds)}});
  return json;
}

} // namespace

std::string to_text(const NamedProfile& named, std::span<const ProfileBy> by, double read_gbps) {
  const PhaseProfile& p = *named.profile;
  std::string text = fmt::format("{}: {} tokens at depth {}, {} steps measured, {} ms each", named.phase, named.tokens,
                                 named.depth, p.steps(), number(p.seconds() * 1e3));
  if (p.plain_seconds() > 0)
    text += fmt::format("; {} ms without profiling ({:+.1f} %)", number(p.plain_seconds() * 1e3), 100 * p.overhead());
  if (p.disturbed() > 0)
    text += fmt::format("\n{} steps took more than {} times the median and are left out", p.disturbed(),
                        PhaseProfile::k_disturbed);
  text += fmt::format("\n{:.6g} launches and {:.6g} barriers per step\n", p.launches(), p.barriers());
  if (p.lost() > 0) text += fmt::format("{} records did not fit: times are too low\n", p.lost());
  text += "\n";
  for (const ProfileBy each : by) text += table(named, each, read_gbps);
  return text;
}

std::string to_json(const NamedProfile& named, std::span<const ProfileBy> by, double read_gbps) {
  const PhaseProfile& p = *named.profile;
  double outside = 0;
  const ProfileRow total = p.total(&outside);
  Json json{{"phase", named.phase},
            {"tokens", named.tokens},
            {"depth", named.depth},
            {"steps", p.steps()},
            {"disturbed_steps", p.disturbed()},
            {"ms_per_step", p.seconds() * 1e3},
            {"ms_per_step_unprofiled", p.plain_seconds() * 1e3},
            {"overhead_percent", 100 * p.overhead()},
            {"launches_per_step", p.launches()},
            {"barriers_per_step", p.barriers()},
            {"lost_records", p.lost()},
            {"outside_ms", outside * 1e3},
            {"outside_share", part(outside, total.seconds)},
            {"total", to_json(total, total.seconds, read_gbps)}};
  for (const ProfileBy each : by) {
    Json rows = Json::array();
    for (const ProfileRow& row : p.rows(each)) rows.push_back(to_json(row, total.seconds, read_gbps));
    json["by_" + std::string(profile_by_name(each))] = std::move(rows);
  }
  return json.dump(1, ' ', false, Json::error_handler_t::replace);
}

} // namespace seacliff::graph
