// What the set `avx512vnni` makes panels of and multiplies them with.
#pragma once

#include "kernels/panels/fill_avx512.hpp"
#include "kernels/panels/micro_vnni.hpp"
