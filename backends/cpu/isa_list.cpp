#include "isa_list.hpp"

#include "isa_names.hpp"

namespace seacliff::cpu {

// One extern declaration and one entry per set that CMake compiled; SCF_CPU_ISAS comes from there.
#define SCF_CPU_DECLARE(name)                                                                                          \
  namespace name {                                                                                                     \
  extern const Isa isa;                                                                                                \
  }
SCF_CPU_ISAS(SCF_CPU_DECLARE)
#define SCF_CPU_ENTRY(name) &name::isa,
namespace {
constexpr const Isa* k_isas[] = {SCF_CPU_ISAS(SCF_CPU_ENTRY)};
} // namespace

std::span<const Isa* const> compiled_isas() { return k_isas; }

const Isa& best_isa() {
  const Isa* best = k_isas[0];
  for (const Isa* isa : k_isas)
    if (runs_here(isa->name)) best = isa;
  return *best;
}

const Isa* find_isa(std::string_view name) {
  for (const Isa* isa : k_isas)
    if (isa->name == name && runs_here(name)) return isa;
  return nullptr;
}

std::string usable_isa_names() {
  std::string names;
  for (const Isa* isa : k_isas)
    if (runs_here(isa->name)) names += (names.empty() ? "" : " ") + std::string(isa->name);
  return names;
}

} // namespace seacliff::cpu
