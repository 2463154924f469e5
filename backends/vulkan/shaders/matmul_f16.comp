// Products of many rows with weights on matrix units.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "product_tiles.glsl"
