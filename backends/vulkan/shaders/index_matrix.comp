// Scores of the indexer for many tokens on matrix units.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "index_tiles.glsl"
