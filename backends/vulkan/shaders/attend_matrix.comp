// Attention of many tokens on matrix units.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "attend_tiles.glsl"
