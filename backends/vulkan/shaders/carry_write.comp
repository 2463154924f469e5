// The last rows of each run go to the carry.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "base.glsl"
#include "states.glsl"
#include "carry.glsl"

layout(constant_id = 1) const uint APE = 0; // format of the ape: 0 f32, 1 f16, else bf16

// at, n: as carry.glsl has them.
void main() {
  const uint t = gl_WorkGroupID.x;
  const Token token = token_of(at(4), at(5), t);
  if (token.last - int(t) < int(number(1))) write_carry(APE, t, token);
}
