// AVX-512 with VNNI, and the tile registers of AMX for products with many tokens.
#pragma once

#include "kernels/panels/products.hpp"
#include "kernels/simd/avx512_floats.hpp"
#include "kernels/simd/dot_vnni.hpp"
#include "kernels/simd/tiles_amx.hpp"
#include "kernels/vnni/products.hpp"
