// Ops that look at one element, or one slot, at a time.
#include "ops/reference/families.hpp"
#include "ops/reference/row_math.hpp"
#include "ops/reference/rows.hpp"

namespace seacliff::reference {
namespace {

class Add final : public Kernel {
public:
  explicit Add(const NodeView&) {}

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Range mine = worker.share(call.out[0].elems());
    for (std::int64_t i = mine.begin; i < mine.end; ++i)
      call.out[0].f32()[i] = call.in[0].f32()[i] + call.in[1].f32()[i];
  }
};

class Swiglu final : public Kernel {
public:
  explicit Swiglu(const NodeView& node) : clamp_(node.attr_float("clamp")) {}

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor& out = call.out[0];
    const Range mine = worker.share(out.rows());
    for (std::int64_t r = mine.begin; r < mine.end; ++r) {
      const double weight = call.in[2] ? call.in[2].f32()[r] : 1.0;
      for (std::int64_t i = 0; i < out.cols(); ++i)
        out.f32_row(r)[i] =
            static_cast<float>(swiglu(call.in[0].f32_row(r)[i], call.in[1].f32_row(r)[i], clamp_) * weight);
    }
  }

private:
  double clamp_;
};

class SumSlots final : public Kernel {
public:
  explicit SumSlots(const NodeView&) {}

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &x = call.in[0], &out = call.out[0];
    const std::int64_t slots = x.dim(1), width = out.cols();
    const Range mine = worker.share(out.elems());
    for (std::int64_t i = mine.begin; i < mine.end; ++i) {
      double sum = 0;
      for (std::int64_t s = 0; s < slots; ++s) sum += x.f32()[(i / width * slots + s) * width + i % width];
      out.f32()[i] = static_cast<float>(sum);
    }
  }
};

class SqrtSoftplus final : public Kernel {
public:
  explicit SqrtSoftplus(const NodeView&) {}

  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Range mine = worker.share(call.out[0].elems());
    for (std::int64_t i = mine.begin; i < mine.end; ++i)
      call.out[0].f32()[i] = static_cast<float>(sqrt_softplus(call.in[0].f32()[i]));
  }
};

} // namespace

std::vector<sdk::KernelEntry> elementwise_kernels() {
  return {entry<Add>("add"), entry<Swiglu>("swiglu"), entry<SumSlots>("sum_slots"),
          entry<SqrtSoftplus>("sqrt_softplus")};
}

} // namespace seacliff::reference
