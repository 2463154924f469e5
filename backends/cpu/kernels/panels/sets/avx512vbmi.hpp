// What the set `avx512vbmi` makes panels of and multiplies them with.
#pragma once

#include "kernels/panels/fill_avx512.hpp"
#include "kernels/panels/fill_vbmi.hpp"
#include "kernels/panels/micro_vnni.hpp"
