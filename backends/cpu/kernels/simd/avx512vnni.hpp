// AVX-512 F, BW, VL, DQ with VNNI.
#pragma once

#include "kernels/panels/products.hpp"
#include "kernels/simd/avx512_floats.hpp"
#include "kernels/simd/dot_vnni.hpp"
#include "kernels/vnni/products.hpp"
