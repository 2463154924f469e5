// What the set `amx_model` makes panels of and multiplies them with.
#pragma once

#include "kernels/panels/micro_amx.hpp"
