// Block layouts of the quantised formats and the tables that define IQ2_XXS. Source: ggml's block layouts, the GGUF
// documentation. Multi-byte fields are little endian and a row may start at any byte: the structs are packed.
//
// Elements of a block are numbered 0..N-1 in row order; a "code" is the small integer stored for an element.
#pragma once

#include <seacliff/sdk/dtype.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace seacliff::blocks {

static_assert(std::endian::native == std::endian::little, "block formats are little endian");

#pragma pack(push, 1)

/// value = d * q[i]
struct Q8_0 {
  std::uint16_t d; // f16
  std::int8_t q[32];
};

/// value = d * (sc[s] & 15) * code - dmin * (sc[s] >> 4); element i = 128a + 32b + 16c + l, s = i / 16,
/// code = (q[32a + 16c + l] >> 2b) & 3
struct Q2_K {
  std::uint8_t sc[16];
  std::uint8_t q[64];
  std::uint16_t d, dmin; // f16
};

/// Geometry and low two bits as Q2_K; code = low - (bit 4a + b of hmask[16c + l] ? 0 : 4);
/// value = d * (q3_k_scale(s) - 32) * code
struct Q3_K {
  std::uint8_t hmask[32];
  std::uint8_t q[64];
  std::uint8_t sc[12];
  std::uint16_t d; // f16
};

/// value = d * scale(s) * code - dmin * min(s), see `k_scale_min`; element i = 64a + 32c + l, s = i / 32, code = nibble
/// of q[32a + l]: low for c = 0, high for c = 1
struct Q4_K {
  std::uint16_t d, dmin; // f16
  std::uint8_t sc[12];
  std::uint8_t q[128];
};

/// As Q4_K, plus 16 in the code when bit s of qh[l] is set.
struct Q5_K {
  std::uint16_t d, dmin; // f16
  std::uint8_t sc[12];
  std::uint8_t qh[32];
  std::uint8_t q[128];
};

/// value = d * sc[i / 16] * (code - 32); element i = 128a + 32b + l: low nibble of ql[64a + 32(b & 1) + l] for b < 2,
/// high nibble for b >= 2, and above it (qh[32a + l] >> 2b) & 3
struct Q6_K {
  std::uint8_t ql[128];
  std::uint8_t qh[64];
  std::int8_t sc[16];
  std::uint16_t d; // f16
};

/// Eight groups of 32: word 0 of group g holds four indices into `iq2xxs_grid` (one per 8 elements, lowest byte
/// first), word 1 four 7-bit indices into `ksigns` and, in its top four bits, a code: value = +-grid * d * (0.5 + code)
/// / 4
struct IQ2_XXS {
  std::uint16_t d; // f16
  std::uint32_t qs[8][2];
};

/// value = E2M1(nibble) * 2^(e - 127); elements 0..15 in the low nibbles, 16..31 in the high ones
struct MXFP4 {
  std::uint8_t e;
  std::uint8_t q[16];
};

/// Activations only: value = d * q[i]; bsum = sums of 16 consecutive codes. The element of largest magnitude has code
/// -127.
struct Q8_K {
  float d;
  std::int8_t q[256];
  std::int16_t bsum[16];
};

#pragma pack(pop)

template <class Block> constexpr bool has_geometry_of(DType dtype) {
  return sizeof(Block) == dtype_info(dtype).block_bytes && alignof(Block) == 1;
}
static_assert(has_geometry_of<Q8_0>(DType::q8_0));
static_assert(has_geometry_of<Q2_K>(DType::q2_k));
static_assert(has_geometry_of<Q3_K>(DType::q3_k));
static_assert(has_geometry_of<Q4_K>(DType::q4_k));
static_assert(has_geometry_of<Q5_K>(DType::q5_k));
static_assert(has_geometry_of<Q6_K>(DType::q6_k));
static_assert(has_geometry_of<IQ2_XXS>(DType::iq2_xxs));
static_assert(has_geometry_of<MXFP4>(DType::mxfp4));
static_assert(sizeof(Q8_K) == 292);

/// Six-bit scale and min of sub-block s (0..7) of Q4_K and Q5_K.
struct ScaleMin {
  std::uint8_t scale, min;
};
constexpr ScaleMin k_scale_min(const std::uint8_t (&sc)[12], unsigned s) {
  if (s < 4) return {static_cast<std::uint8_t>(sc[s] & 63), static_cast<std::uint8_t>(sc[s + 4] & 63)};
  return {static_cast<std::uint8_t>((sc[s + 4] & 15) | (sc[s - 4] >> 6) << 4),
          static_cast<std::uint8_t>((sc[s + 4] >> 4) | (sc[s] >> 6) << 4)};
}

/// Six-bit scale of sub-block s (0..15) of Q3_K, 0..63: 32 is still to be subtracted.
constexpr int q3_k_scale(const std::uint8_t (&sc)[12], unsigned s) {
  const int low = s < 8 ? sc[s] & 15 : sc[s - 8] >> 4;
  const int high = (sc[8 + s % 4] >> 2 * (s / 4)) & 3;
  return low | high << 4;
}

/// E2M1 values doubled, so that they are integers; the scale that goes with them is 2^(e - 128).
inline constexpr std::array<std::int8_t, 16> mxfp4_codes{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/// 2^(e - 128): the scale of `mxfp4_codes`. Subnormal for e < 2.
constexpr float mxfp4_half_scale(std::uint8_t e) {
  return std::bit_cast<float>(e < 2 ? 0x00200000u << e : (e - 1u) << 23);
}

namespace detail {

// Two bits per element, lowest first: 0, 1, 2 stand for 8, 25, 43.
inline constexpr std::array<std::uint16_t, 256> iq2xxs_digits{
    0x0000, 0x0002, 0x0005, 0x0008, 0x000a, 0x0011, 0x0014, 0x0020, 0x0022, 0x0028, 0x002a, 0x0041, 0x0044, 0x0050,
    0x0058, 0x0061, 0x0064, 0x0080, 0x0082, 0x008a, 0x00a2, 0x0101, 0x0104, 0x0110, 0x0115, 0x0140, 0x0184, 0x0198,
    0x0200, 0x0202, 0x0222, 0x0282, 0x0401, 0x0404, 0x0410, 0x0421, 0x0424, 0x0440, 0x0442, 0x0448, 0x0460, 0x0481,
    0x0484, 0x0490, 0x04a4, 0x0500, 0x0502, 0x0508, 0x0520, 0x0546, 0x0569, 0x0580, 0x0591, 0x0609, 0x0610, 0x0640,
    0x0684, 0x06a4, 0x0800, 0x0805, 0x0808, 0x0814, 0x0828, 0x0841, 0x0844, 0x0850, 0x0852, 0x0888, 0x0904, 0x0940,
    0x0a02, 0x0a14, 0x1001, 0x1004, 0x1010, 0x1021, 0x1040, 0x1060, 0x1084, 0x1090, 0x1095, 0x1100, 0x1108, 0x1120,
    0x1150, 0x115a, 0x1180, 0x1224, 0x1245, 0x1400, 0x1408, 0x1420, 0x1425, 0x1449, 0x1480, 0x1518, 0x1562, 0x1600,
    0x1616, 0x1801, 0x1804, 0x1810, 0x1840, 0x1881, 0x1900, 0x1905, 0x19a0, 0x1a51, 0x2000, 0x2002, 0x200a, 0x2044,
    0x2061, 0x2080, 0x2082, 0x2129, 0x2148, 0x2200, 0x2202, 0x2401, 0x2404, 0x2410, 0x2440, 0x2456, 0x2500, 0x2541,
    0x2564, 0x2690, 0x2808, 0x2820, 0x2894, 0x2a44, 0x4001, 0x4004, 0x4010, 0x4018, 0x4021, 0x4024, 0x4040, 0x4048,
    0x4056, 0x4060, 0x4081, 0x4084, 0x4090, 0x4100, 0x4120, 0x4161, 0x4180, 0x4185, 0x4201, 0x4210, 0x4248, 0x4256,
    0x4268, 0x4400, 0x4408, 0x4420, 0x4480, 0x4499, 0x4512, 0x4524, 0x4600, 0x4801, 0x4804, 0x4810, 0x4840, 0x4845,
    0x4900, 0x4958, 0x4961, 0x4982, 0x4a45, 0x4a90, 0x5000, 0x5008, 0x5011, 0x5019, 0x5020, 0x5080, 0x5088, 0x5104,
    0x5142, 0x51a4, 0x5291, 0x5490, 0x5492, 0x550a, 0x5601, 0x5654, 0x5800, 0x5811, 0x5819, 0x5864, 0x5940, 0x5a08,
    0x6004, 0x6010, 0x6040, 0x6068, 0x6100, 0x6155, 0x6218, 0x6260, 0x6400, 0x6405, 0x6510, 0x6512, 0x6584, 0x6842,
    0x8000, 0x8002, 0x800a, 0x8041, 0x8082, 0x8104, 0x8118, 0x8140, 0x8211, 0x8401, 0x8404, 0x8410, 0x8415, 0x8440,
    0x8460, 0x8500, 0x8546, 0x8594, 0x8609, 0x8640, 0x8660, 0x8802, 0x8904, 0x8a11, 0x9004, 0x9010, 0x9024, 0x9040,
    0x90a1, 0x9116, 0x9180, 0x9245, 0x9400, 0x9422, 0x9444, 0x9551, 0x9881, 0x9920, 0xa002, 0xa050, 0xa085, 0xa109,
    0xa200, 0xa418, 0xa850, 0xa904,
};

constexpr std::array<std::uint64_t, 256> expand_iq2xxs() {
  constexpr std::uint8_t levels[4] = {8, 25, 43, 0};
  std::array<std::uint64_t, 256> grid{};
  for (std::size_t i = 0; i < grid.size(); ++i)
    for (unsigned j = 0; j < 8; ++j) grid[i] |= std::uint64_t{levels[iq2xxs_digits[i] >> 2 * j & 3]} << 8 * j;
  return grid;
}

constexpr std::array<std::uint8_t, 128> expand_ksigns() {
  std::array<std::uint8_t, 128> signs{};
  for (unsigned i = 0; i < signs.size(); ++i)
    signs[i] = static_cast<std::uint8_t>(i | (std::popcount(i) % 2 != 0 ? 0x80u : 0u));
  return signs;
}

} // namespace detail

/// Eight magnitudes out of {8, 25, 43}, one per byte, first element lowest.
inline constexpr std::array<std::uint64_t, 256> iq2xxs_grid = detail::expand_iq2xxs();

/// Sign byte (bit j set: element j is negative) of a 7-bit index; the number of negatives is even.
inline constexpr std::array<std::uint8_t, 128> ksigns = detail::expand_ksigns();

} // namespace seacliff::blocks
