#include "graph/plan/memory.hpp"

namespace seacliff::graph {
namespace {

std::string size(std::uint64_t bytes) {
  const double mib = static_cast<double>(bytes) / (1024.0 * 1024.0);
  return mib < 1000.0 ? fmt::format("{:.1f} MiB", mib) : fmt::format("{:.2f} GiB", mib / 1024.0);
}

} // namespace

std::string MemoryPlan::summary(std::uint64_t limit) const {
  return fmt::format("memory: {} weights ({}) + {} (state {}, checkpoints {}, scratch {}, inputs and logits {}, "
                     "process {}) = {} of {}",
                     size(weights), weight_pages, size(total() - weights), size(state), size(checkpoints),
                     size(scratch), size(io), size(process), size(total()), size(limit));
}

void check_fit(const MemoryPlan& plan, std::uint64_t limit) {
  const std::uint64_t need = plan.process + plan.allocated();
  if (need <= limit) return;
  Status status{Code::does_not_fit,
                fmt::format("the model needs {} {} its weights (state {}, checkpoints {}, scratch {}, inputs "
                            "and logits {}), this machine has {}: short by {}",
                            size(need), plan.copied_weights ? "with a copy of" : "beside the mapped file with",
                            size(plan.state), size(plan.checkpoints), size(plan.scratch), size(plan.io), size(limit),
                            size(need - limit)),
                plan.copied_weights ? "leave the weights in the mapped file (--weights mapped)" : "lower --ctx",
                {}};
  status.details = {{"heap", std::string("host")},
                    {"need", static_cast<std::int64_t>(need)},
                    {"free", static_cast<std::int64_t>(limit)}};
  throw Error(std::move(status));
}

} // namespace seacliff::graph
