#include "layouts.hpp"

#include "device.hpp"

#include <seacliff/sdk/blocks.hpp>

#include <cstring>
#include <optional>
#include <string>

namespace seacliff::vulkan {
namespace {

/// A run of bytes of a block that goes to a plane of its own.
struct Field {
  std::uint32_t at, bytes;
};

/// How blocks come apart: codes first, then up to two fields more, each a plane.
struct Planes {
  std::uint32_t block, elems;
  std::uint32_t columns; // a row must be a multiple of this
  Field fields[3];
};

std::optional<Planes> planes_of(DType dtype) {
  switch (dtype) {
  case DType::q8_0: return Planes{34, 32, 256, {{2, 32}, {0, 2}, {}}};
  case DType::q2_k: return Planes{84, 256, 1024, {{16, 64}, {0, 16}, {80, 4}}};
  case DType::q4_k: return Planes{144, 256, 256, {{16, 128}, {0, 16}, {}}};
  case DType::iq2_xxs: return Planes{66, 256, 2048, {{2, 64}, {0, 2}, {}}};
  case DType::mxfp4: return Planes{17, 32, 512, {{1, 16}, {0, 1}, {}}};
  default: return std::nullopt;
  }
}

/// Scales of Q2_K in the order of the words of codes they belong to: those of a word are four neighbouring bytes.
void order_q2_k_scales(const std::byte* from, std::byte* to, bool back) {
  for (unsigned word = 0; word < 4; ++word)
    for (unsigned shift = 0; shift < 4; ++shift) {
      const unsigned in_file = 8 * (word / 2) + 2 * shift + word % 2, in_plane = 4 * word + shift;
      to[back ? in_file : in_plane] = from[back ? in_plane : in_file];
    }
}

/// `Bytes` of each block, copied by a size that the compiler knows.
template <std::size_t Bytes>
void copy_field(const std::byte* from, std::size_t from_step, std::byte* to, std::size_t to_step, std::size_t blocks) {
  for (std::size_t b = 0; b < blocks; ++b) std::memcpy(to + b * to_step, from + b * from_step, Bytes);
}

void move_field(const Field& field, bool is_scales, std::byte* in_file, std::size_t step, std::byte* in_plane,
                std::size_t blocks, bool back) {
  std::byte* const from = back ? in_plane : in_file + field.at;
  std::byte* const to = back ? in_file + field.at : in_plane;
  const std::size_t from_step = back ? field.bytes : step, to_step = back ? step : field.bytes;
  if (is_scales) {
    for (std::size_t b = 0; b < blocks; ++b) order_q2_k_scales(from + b * from_step, to + b * to_step, back);
    return;
  }
  switch (field.bytes) {
  case 1: return copy_field<1>(from, from_step, to, to_step, blocks);
  case 2: return copy_field<2>(from, from_step, to, to_step, blocks);
  case 4: return copy_field<4>(from, from_step, to, to_step, blocks);
  case 16: return copy_field<16>(from, from_step, to, to_step, blocks);
  case 32: return copy_field<32>(from, from_step, to, to_step, blocks);
  case 64: return copy_field<64>(from, from_step, to, to_step, blocks);
  case 128: return copy_field<128>(from, from_step, to, to_step, blocks);
  default: throw sdk::Failure(SCF_INTERNAL, "a field of " + std::to_string(field.bytes) + " bytes");
  }
}

/// Rows from the file's layout into planes, or back.
void move_rows(const scf_value& weight, std::uint32_t layout, std::uint64_t rows, std::byte* file, std::byte* packed,
               bool back) {
  const sdk::ValueView view{&weight};
  if (layout != k_planes_layout || weight.rank == 0 || !has_planes(view.dtype(), view.cols()))
    throw sdk::Failure(SCF_INVALID_ARGUMENT, "layout " + std::to_string(layout) + " is none of this weight's");
  const Planes planes = *planes_of(view.dtype());
  const std::size_t blocks = static_cast<std::size_t>(view.cols()) / planes.elems, stride = blocks * planes.block;
  for (std::uint64_t row = 0; row < rows; ++row) {
    std::byte* plane = packed + row * stride;
    for (std::size_t f = 0; f < 3; ++f) {
      const Field& field = planes.fields[f];
      if (field.bytes == 0) continue;
      move_field(field, view.dtype() == DType::q2_k && f == 1, file + row * stride, planes.block, plane, blocks, back);
      plane += blocks * field.bytes;
    }
  }
}

scf_status* candidates(scf_device* handle, const scf_value* weight, void (*sink)(void*, const scf_layout_desc*),
                       void* user) {
  const Device* device = Device::of(handle);
  return sdk::guard(device->host(), [&] {
    const sdk::ValueView view{weight};
    const DTypeInfo* info = find_dtype(weight->dtype);
    if (info == nullptr || weight->rank < 2 || !device->caps().byte_dots) return;
    if (!has_planes(view.dtype(), view.cols())) return;
    const std::string name = "vulkan." + std::string(info->name) + ".planes/1";
    std::uint64_t bytes = row_bytes(info->dtype, static_cast<std::uint64_t>(view.cols()));
    for (std::uint32_t axis = 0; axis + 1 < weight->rank; ++axis)
      bytes *= static_cast<std::uint64_t>(weight->dims[axis]);
    const scf_layout_desc desc{
        sdk::header<scf_layout_desc>(SCF_KIND_LAYOUT_DESC), sdk::str(name), k_planes_layout, 0, bytes, 64, 1};
    sink(user, &desc);
  });
}

scf_status* repack(scf_device* handle, const scf_value* weight, std::uint32_t layout, std::uint64_t begin,
                   std::uint64_t end, const void* src, void* dst) {
  return sdk::guard(Device::of(handle)->host(), [&] {
    auto* file = static_cast<std::byte*>(const_cast<void*>(src)); // only read on this way
    move_rows(*weight, layout, end - begin, file, static_cast<std::byte*>(dst), false);
  });
}

scf_status* unpack(scf_device* handle, const scf_value* weight, std::uint32_t layout, std::uint64_t begin,
                   std::uint64_t end, const void* src, void* dst) {
  return sdk::guard(Device::of(handle)->host(), [&] {
    auto* packed = static_cast<std::byte*>(const_cast<void*>(src)); // only read on this way
    move_rows(*weight, layout, end - begin, static_cast<std::byte*>(dst), packed, true);
  });
}

} // namespace

bool has_planes(DType dtype, std::int64_t columns) {
  const std::optional<Planes> planes = planes_of(dtype);
  return planes && columns > 0 && columns % planes->columns == 0;
}

const scf_layout_api k_layout{sdk::header<scf_layout_api>(SCF_KIND_LAYOUT_API), candidates, repack, unpack};

} // namespace seacliff::vulkan
