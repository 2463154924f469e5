// AVX-512 F, BW, VL, DQ.
#pragma once

#include "kernels/avx2/products.hpp"
#include "kernels/simd/avx512_floats.hpp"
#include "kernels/simd/dot_maddubs.hpp"
