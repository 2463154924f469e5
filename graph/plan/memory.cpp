#include "graph/plan/memory.hpp"

namespace seacliff::graph {
namespace {

std::string size(std::uint64_t bytes) {
  const double mib = static_cast<double>(bytes) / (1024.0 * 1024.0);
  return mib < 1000.0 ? fmt::format("{:.1f} MiB", mib) : fmt::format("{:.2f} GiB", mib / 1024.0);
}

} // namespace

std::string HeapPlan::summary() const {
  return fmt::format("memory: {} weights + {} (state {}, scratch {}, inputs and logits {}, staging {}) = {} of {} on "
                     "{}, heap {}",
                     size(weights), size(total() - weights), size(state), size(scratch), size(io), size(staging),
                     size(total()), free == 0 ? "an unknown size" : size(free), device, heap);
}

std::uint64_t MemoryPlan::devices() const {
  std::uint64_t sum = 0;
  for (const HeapPlan& heap : heaps)
    if (heap.in_host_memory) sum += heap.total();
  return sum;
}

std::string MemoryPlan::summary(std::uint64_t limit) const {
  return fmt::format("memory: {} weights ({}) + {} (state {}, checkpoints {}, scratch {}, inputs and logits {}, "
                     "{}process {}) = {} of {}",
                     size(weights), weight_pages, size(total() - weights), size(state), size(checkpoints),
                     size(scratch), size(io), devices() == 0 ? "" : fmt::format("devices {}, ", size(devices())),
                     size(process), size(total()), size(limit));
}

namespace {

void check_heap(const HeapPlan& plan) {
  const std::uint64_t need = plan.total();
  if (plan.free == 0 || need <= plan.free) return;
  Status status{Code::does_not_fit,
                fmt::format("the model needs {} in heap {} of {} (weights {}, state {}, scratch {}, inputs and logits "
                            "{}, staging {}), {} are free: short by {}",
                            size(need), plan.heap, plan.device, size(plan.weights), size(plan.state),
                            size(plan.scratch), size(plan.io), size(plan.staging), size(plan.free),
                            size(need - plan.free)),
                "lower --ctx, or leave ops to another device: --deny OP@DEVICE",
                {}};
  status.details = {{"heap", fmt::format("{}/{}", plan.device, plan.heap)},
                    {"need", static_cast<std::int64_t>(need)},
                    {"free", static_cast<std::int64_t>(plan.free)}};
  throw Error(std::move(status));
}

} // namespace

void check_fit(const MemoryPlan& plan, std::uint64_t limit) {
  for (const HeapPlan& heap : plan.heaps) check_heap(heap);
  const std::uint64_t need = plan.process + plan.allocated();
  if (need <= limit) return;
  Status status{Code::does_not_fit,
                fmt::format("the model needs {} {} its weights (state {}, checkpoints {}, scratch {}, inputs "
                            "and logits {}, devices {}), this machine has {}: short by {}",
                            size(need), plan.copied_weights ? "with a copy of" : "beside the mapped file with",
                            size(plan.state), size(plan.checkpoints), size(plan.scratch), size(plan.io),
                            size(plan.devices()), size(limit), size(need - limit)),
                plan.copied_weights ? "leave the weights in the mapped file (--weights mapped)" : "lower --ctx",
                {}};
  status.details = {{"heap", std::string("host")},
                    {"need", static_cast<std::int64_t>(need)},
                    {"free", static_cast<std::int64_t>(limit)}};
  throw Error(std::move(status));
}

} // namespace seacliff::graph
