#include "catalogue.hpp"

#include "isa_names.hpp"
#include "ops/ops.hpp"

#include <array>

namespace seacliff::cpu {

#define SCF_CPU_DECLARE(name)                                                                                          \
  namespace name {                                                                                                     \
  extern const Isa isa;                                                                                                \
  }
SCF_CPU_ISAS(SCF_CPU_DECLARE)

namespace {

/// KernelEntry::make takes no context: the set is baked in, one function per op and set.
template <auto MAKE, const Isa* ISA> std::unique_ptr<sdk::Kernel> make_with(const sdk::NodeView& node) {
  return MAKE(*ISA, node);
}

#define SCF_CPU_ENTRY(op) sdk::KernelEntry{#op, claim_##op, make_with<make_##op, ISA>},
template <const Isa* ISA> constexpr auto k_entries = std::to_array<sdk::KernelEntry>({SCF_CPU_OPS(SCF_CPU_ENTRY)});

} // namespace

std::span<const sdk::KernelEntry> catalogue(const Isa& isa) {
#define SCF_CPU_CHOOSE(name)                                                                                           \
  if (&isa == &name::isa) return k_entries<&name::isa>;
  SCF_CPU_ISAS(SCF_CPU_CHOOSE)
  return {};
}

} // namespace seacliff::cpu
