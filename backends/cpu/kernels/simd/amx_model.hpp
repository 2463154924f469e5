// Tests only: the code of the set `amx` on any machine, with the tile registers modelled in C++.
#pragma once

#include "kernels/panels/products.hpp"
#include "kernels/simd/scalar.hpp"
#include "kernels/simd/tiles_model.hpp"
