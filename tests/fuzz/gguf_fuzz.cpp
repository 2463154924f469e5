// Any bytes, read as a GGUF model: either accepted, with everything in it readable, or refused with an Error.
#include "core/model/gguf.hpp"
#include "core/model/hparams.hpp"
#include "core/model/inventory.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace {

/// First and last byte of every tensor: what an offset or a size that was wrongly believed would put outside.
unsigned touch(const seacliff::GgufFile& file) {
  unsigned sum = 0;
  for (const seacliff::GgufTensor& tensor : file.tensors())
    sum += static_cast<unsigned>(tensor.data[0]) + static_cast<unsigned>(tensor.data[tensor.bytes - 1]);
  return sum;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto file = seacliff::GgufFile::parse({reinterpret_cast<const std::byte*>(data), size}, "fuzz");
    volatile unsigned sum = touch(file);
    (void)sum;
    const seacliff::HParams hp = seacliff::hparams_from_gguf(file);
    const seacliff::TensorDirectory directory(file, hp);
    if (seacliff::take_inventory(file, hp, directory).classes.empty()) std::abort();
  } catch (const seacliff::Error& error) {
    if (error.status().message.empty()) std::abort();
  }
  return 0;
}
