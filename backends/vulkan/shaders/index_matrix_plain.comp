// index_matrix.comp for devices without matrix units: slow, and there to be checked.
#version 450
#extension GL_GOOGLE_include_directive : require
#define PLAIN_MATRIX
#include "base.glsl"
#include "index_tiles.glsl"
