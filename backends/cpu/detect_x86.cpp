// What an x86 processor offers (CPUID) and what the operating system saves on a context switch (XCR0): both are needed.
// Source: Intel SDM volume 1, chapters 13.3, 14.3, 15.2-15.4 and 18.3. Linux hands out the tile registers on request,
// once for all threads of a process: Documentation/arch/x86/xstate.rst.
#include "isa_list.hpp"

#include <cpuid.h>
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace seacliff::cpu {
namespace {

struct Features {
  bool avx2 = false, avx512 = false, avx512vnni = false, amx = false;
};

std::uint64_t read_xcr0() {
  std::uint32_t low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return std::uint64_t{high} << 32 | low;
}

#ifdef __linux__
constexpr int k_get_supported = 0x1021, k_get_permitted = 0x1022, k_request = 0x1023; // ARCH_*_XCOMP_*
constexpr unsigned k_tile_data = 18;                                                  // bit of XCR0

/// The extended states that the kernel answers to one of the two questions above.
std::uint64_t ask_kernel(int question) {
  std::uint64_t states = 0;
  return ::syscall(SYS_arch_prctl, question, &states) == 0 ? states : 0;
}
bool kernel_offers_tiles() { return (ask_kernel(k_get_supported) >> k_tile_data & 1u) != 0; }
bool take_tiles() {
  return ::syscall(SYS_arch_prctl, k_request, k_tile_data) == 0 &&
         (ask_kernel(k_get_permitted) >> k_tile_data & 1u) != 0;
}
#else
bool kernel_offers_tiles() { return false; }
bool take_tiles() { return false; }
#endif

bool has(unsigned word, unsigned bit) { return (word >> bit & 1u) != 0; }

Features detect() {
  Features found;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0) return found;
  const bool osxsave = has(c, 27), avx = has(c, 28), fma = has(c, 12), f16c = has(c, 29);
  if (!osxsave || !avx) return found;
  const std::uint64_t xcr0 = read_xcr0();
  const bool ymm = (xcr0 & 0x06) == 0x06, zmm = (xcr0 & 0xe6) == 0xe6;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return found;
  found.avx2 = ymm && fma && f16c && has(b, 5);
  found.avx512 = found.avx2 && zmm && has(b, 16) && has(b, 17) && has(b, 30) && has(b, 31); // F DQ BW VL
  found.avx512vnni = found.avx512 && has(c, 11);
  const bool tiles = (xcr0 & 0x60000) == 0x60000;
  found.amx = found.avx512vnni && tiles && has(d, 22) && has(d, 24) && has(d, 25) && // BF16, TILE, INT8
              kernel_offers_tiles();
  return found;
}

} // namespace

bool runs_here(std::string_view name) {
  static const Features found = detect();
  if (name == "amx") return found.amx;
  if (name == "avx512vnni") return found.avx512vnni;
  if (name == "avx512") return found.avx512;
  if (name == "avx2") return found.avx2;
  return name == "scalar";
}

bool enable(std::string_view name) {
  if (!runs_here(name)) return false;
  if (name != "amx") return true;
  static const bool taken = take_tiles();
  return taken;
}

} // namespace seacliff::cpu
