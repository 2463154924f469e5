// AVX-512 F, BW, VL, DQ with VNNI, VBMI and GFNI.
#pragma once

#include "kernels/panels/products.hpp"
#include "kernels/simd/avx512_floats.hpp"
#include "kernels/simd/dot_vnni.hpp"
#include "kernels/vbmi/iq2_xxs.hpp"
#include "kernels/vnni/products.hpp"
