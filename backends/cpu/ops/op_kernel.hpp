// The base of all kernels of this backend.
#pragma once

#include "claims.hpp"
#include "ops.hpp"
#include "split.hpp"

namespace seacliff::cpu {

using sdk::Claim;
using sdk::KernelCall;
using sdk::NodeView;
using sdk::Tensor;
using sdk::ValueView;
using sdk::Worker;

class OpKernel : public sdk::Kernel {
public:
  explicit OpKernel(const Isa& isa) : isa_(isa) {}

protected:
  const Isa& isa_;
};

template <class K> std::unique_ptr<sdk::Kernel> make_kernel(const Isa& isa, const NodeView& node) {
  return std::make_unique<K>(isa, node);
}

} // namespace seacliff::cpu
