#include "core/memory/host_buffer.hpp"

#include "core/base/bytes.hpp"
#include "core/base/status.hpp"
#include "core/memory/memory_limit.hpp"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <system_error>
#include <utility>

namespace seacliff {
namespace {

constexpr std::size_t cache_line = 64;
constexpr std::size_t huge_page = std::size_t{2} << 20;
// Below this the C heap: fewer mappings, and the address sanitizer sees an overrun.
constexpr std::uint64_t map_from = std::uint64_t{4} << 20;

[[noreturn]] void fail(std::uint64_t bytes, std::string_view what, int error) {
  const std::uint64_t free = memory_limit().available;
  Status status;
  status.code = Code::resource_exhausted;
  status.message = fmt::format("cannot allocate {} for {}: {}, {} are available", format_bytes(bytes), what,
                               std::generic_category().message(error), format_bytes(free));
  status.mend = "use a smaller model, a shorter context or fewer sequences";
  const auto signed_bytes = [](std::uint64_t value) {
    constexpr std::uint64_t most = std::numeric_limits<std::int64_t>::max();
    return static_cast<std::int64_t>(value < most ? value : most);
  };
  status.details = {{"need", signed_bytes(bytes)}, {"free", signed_bytes(free)}};
  throw Error(std::move(status));
}

std::byte* allocate(std::size_t bytes, std::string_view what, HostBuffer::Fill fill, std::size_t align) {
  const std::size_t rounded = (bytes + align - 1) / align * align;
  void* block = std::aligned_alloc(align, rounded);
  if (block == nullptr) fail(bytes, what, ENOMEM);
  if (fill == HostBuffer::Fill::zero) std::memset(block, 0, rounded);
  return static_cast<std::byte*>(block);
}

/// A mapping of `bytes` (a multiple of the huge page) that begins at a multiple of the huge page.
std::byte* map_aligned(std::size_t bytes, std::string_view what) {
  void* whole = mmap(nullptr, bytes + huge_page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (whole == MAP_FAILED) fail(bytes, what, errno);
  std::byte* begin = static_cast<std::byte*>(whole);
  const std::size_t before = (huge_page - reinterpret_cast<std::uintptr_t>(whole) % huge_page) % huge_page;
  if (before > 0) munmap(begin, before);
  if (before < huge_page) munmap(begin + before + bytes, huge_page - before);
  return begin + before;
}

} // namespace

HostBuffer::HostBuffer(std::uint64_t bytes, std::string_view what, Fill fill, Pages pages, std::uint64_t align) {
  if (bytes == 0) return;
  if (!std::has_single_bit(align) || align > huge_page)
    throw Error(Code::invalid_argument, fmt::format("{} cannot be aligned to {} bytes", what, align));
  if (bytes > std::numeric_limits<std::size_t>::max() / 4) fail(bytes, what, ENOMEM);
  const auto size = static_cast<std::size_t>(bytes);
  if (bytes < map_from) {
    data_ = allocate(size, what, fill, std::max<std::size_t>(align, cache_line));
  } else {
    mapped_ = (size + huge_page - 1) / huge_page * huge_page;
    data_ = map_aligned(mapped_, what);
    madvise(data_, mapped_, pages == Pages::huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE); // advice: may be refused
  }
  size_ = bytes;
}

void HostBuffer::reset() {
  if (mapped_ != 0) {
    munmap(data_, mapped_);
  } else {
    std::free(data_);
  }
  data_ = nullptr;
  size_ = 0;
  mapped_ = 0;
}

void HostBuffer::swap(HostBuffer& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(mapped_, other.mapped_);
}

} // namespace seacliff
