// Writes a graph view by hand, as the host's graph would.
#pragma once

#include <seacliff/sdk/kernel.hpp>

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace seacliff::plugins {

/// A dimension: a constant, or a maximum with its symbol.
struct TestDim {
  std::int64_t max = 0;
  std::uint32_t sym = 0;
  TestDim(std::int64_t n, std::uint32_t symbol = 0) : max(n), sym(symbol) {} // NOLINT: reads as a number
};

class SegmentBuilder {
public:
  /// `op_id`: of the host that the plugin was opened with.
  template <typename OpId> explicit SegmentBuilder(OpId op_id) : op_id_(std::move(op_id)) {}

  std::uint32_t value(std::uint32_t role, std::vector<TestDim> dims, std::uint32_t dtype = SCF_DTYPE_F32,
                      std::uint32_t layout = 0) {
    scf_value made{};
    made.id = static_cast<std::uint32_t>(values_.size());
    made.dtype = dtype;
    made.role = role;
    made.rank = static_cast<std::uint32_t>(dims.size());
    made.layout = layout;
    for (std::size_t i = 0; i < dims.size(); ++i) {
      made.dims[i] = dims[i].max;
      made.dim_sym[i] = dims[i].sym;
    }
    made.name = sdk::str(texts_.emplace_back("v" + std::to_string(made.id)));
    values_.push_back(made);
    return made.id;
  }

  std::uint32_t node(const std::string& op, std::vector<std::uint32_t> in, std::vector<std::uint32_t> out,
                     std::map<std::string, double> attrs = {}) {
    const auto& ins = ids_.emplace_back(std::move(in));
    const auto& outs = ids_.emplace_back(std::move(out));
    auto& kvs = attrs_.emplace_back();
    for (const auto& [key, number] : attrs) {
      scf_kv kv{sdk::str(texts_.emplace_back(key)), SCF_KV_FLOAT, 0, {}};
      kv.v.f = number;
      kvs.push_back(kv);
    }
    scf_node made{};
    made.id = static_cast<std::uint32_t>(nodes_.size());
    made.op = op_id_(op);
    made.n_in = static_cast<std::uint32_t>(ins.size());
    made.n_out = static_cast<std::uint32_t>(outs.size());
    made.n_attr = static_cast<std::uint32_t>(kvs.size());
    made.in = ins.data();
    made.out = outs.data();
    made.attr = kvs.data();
    made.name = sdk::str(texts_.emplace_back("n" + std::to_string(made.id) + "." + op));
    nodes_.push_back(made);
    return made.id;
  }

  /// Valid until the builder changes.
  scf_graph_view view() const {
    return {{sizeof(scf_graph_view), SCF_KIND_GRAPH_VIEW, nullptr},
            static_cast<std::uint32_t>(values_.size()),
            sizeof(scf_value),
            static_cast<std::uint32_t>(nodes_.size()),
            sizeof(scf_node),
            values_.data(),
            nodes_.data()};
  }

private:
  std::function<std::uint32_t(const std::string&)> op_id_;
  std::vector<scf_value> values_;
  std::vector<scf_node> nodes_;
  std::deque<std::string> texts_;
  std::deque<std::vector<std::uint32_t>> ids_;
  std::deque<std::vector<scf_kv>> attrs_;
};

} // namespace seacliff::plugins
