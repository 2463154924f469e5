// AVX-512 with VNNI, VBMI and GFNI, and the tile registers of AMX for products with many tokens.
#pragma once

#include "kernels/simd/avx512vbmi.hpp"
#include "kernels/simd/tiles_amx.hpp"
