// The table of this instruction set.
#include "kernels/families.hpp"

#define SCF_TEXT_OF(name) #name
#define SCF_TEXT(name) SCF_TEXT_OF(name)

namespace seacliff::cpu::SCF_ISA_NAMESPACE {

extern const Isa isa;
const Isa isa{SCF_TEXT(SCF_ISA_NAMESPACE),
              formats,
              n_formats,
              quantise,
              many_scratch,
              gemm_scratch,
              sum_squares,
              scale_by,
              add,
              swiglu,
              sqrt_softplus,
              to_half,
              from_half,
              round_kv8,
              round_idx4,
              mix,
              brief_rows,
              attend_scratch,
              attend_together,
              attend,
              index_score,
              pool};

} // namespace seacliff::cpu::SCF_ISA_NAMESPACE
