#include "claims.hpp"

#include "isa_list.hpp"

namespace seacliff::cpu {

sdk::Claim with_weights(const sdk::NodeView& node, std::initializer_list<std::uint32_t> inputs) {
  for (const std::uint32_t i : inputs) {
    const sdk::ValueView w = node.in(i);
    if (!w) continue;
    if (w.value->layout != 0) return sdk::Claim::no("weights only in the file's layout");
    if (!w.known_dtype()) return sdk::Claim::no("weight format " + std::to_string(w.value->dtype) + " is not known");
    const DTypeInfo& info = dtype_info(w.dtype());
    if (compiled_isas()[0]->find(w.dtype()) == nullptr)
      return sdk::Claim::no("no kernel for weights of format " + std::string(info.name));
    if (w.cols() % info.block_elems != 0)
      return sdk::Claim::no("rows of " + std::to_string(w.cols()) + " elements are no whole blocks of " +
                            std::string(info.name));
  }
  return sdk::Claim::ok();
}

sdk::Claim with_states(const sdk::NodeView& node, std::initializer_list<std::uint32_t> inputs) {
  for (const std::uint32_t i : inputs) {
    const sdk::ValueView state = node.in(i);
    if (state && state.value->dtype != SCF_DTYPE_F32 && state.value->dtype != SCF_DTYPE_F16)
      return sdk::Claim::no("state is neither f32 nor f16");
  }
  return sdk::Claim::ok();
}

sdk::Claim all_of(std::initializer_list<sdk::Claim> claims) {
  for (const sdk::Claim& claim : claims)
    if (claim.level == SCF_CLAIM_NO) return claim;
  return sdk::Claim::ok();
}

} // namespace seacliff::cpu
