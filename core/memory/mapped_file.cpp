#include "core/memory/mapped_file.hpp"

#include "core/base/bytes.hpp"
#include "core/base/status.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <limits>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <sys/stat.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace seacliff {
namespace {

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
  int release() { return std::exchange(fd, -1); }
};

[[noreturn]] void throw_errno(const std::string& name, std::string_view action, int error) {
  const std::string reason = std::generic_category().message(error);
  switch (error) {
  case ENOENT:
  case ENOTDIR: throw Error(Code::not_found, fmt::format("{}: there is no such file", name), "check the path");
  case EACCES:
  case EPERM: throw Error(Code::permission_denied, fmt::format("{}: {}: {}", name, action, reason), "make it readable");
  default: throw Error(Code::unavailable, fmt::format("{}: {}: {}", name, action, reason));
  }
}

std::uint64_t page_bytes() {
  static const auto size = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

struct Range {
  std::uint64_t begin, end;
};

Range clamp(std::uint64_t offset, std::uint64_t length, std::uint64_t size) {
  const std::uint64_t begin = std::min(offset, size);
  return {begin, begin + std::min(length, size - begin)};
}

constexpr std::size_t k_large_page = std::size_t{2} << 20;

std::size_t up_to_large_page(std::size_t bytes) { return (bytes + k_large_page - 1) / k_large_page * k_large_page; }

/// Addresses for `bytes` from a multiple of the large page on, nothing behind them yet; nullptr when there are none.
void* reserve(std::size_t bytes) {
  const std::size_t whole = up_to_large_page(bytes) + k_large_page;
  void* at = ::mmap(nullptr, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) return nullptr;
  auto* begin = static_cast<std::byte*>(at);
  const std::size_t before = (k_large_page - reinterpret_cast<std::uintptr_t>(at) % k_large_page) % k_large_page;
  if (before > 0) ::munmap(begin, before);
  if (before < k_large_page) ::munmap(begin + before + up_to_large_page(bytes), k_large_page - before);
  return begin + before;
}

/// 0, or the error.
int read_slice(int fd, std::byte* to, std::size_t from, std::size_t bytes) {
  while (bytes > 0) {
    const ssize_t n = ::pread(fd, to, bytes, static_cast<off_t>(from));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n < 0 ? errno : EIO; // the file has shrunk
    to += n;
    from += static_cast<std::size_t>(n);
    bytes -= static_cast<std::size_t>(n);
  }
  return 0;
}

/// Several threads, because the kernel clears and fills pages at a few GB/s each. 0, or the first error.
int read_and_forget(int fd, std::byte* to, std::size_t size) {
  constexpr std::size_t slice = std::size_t{32} << 20;
  std::atomic<std::size_t> next{0};
  std::atomic<int> error{0};
  const auto work = [&] {
    for (std::size_t at = next.fetch_add(slice); at < size && error == 0; at = next.fetch_add(slice)) {
      const std::size_t bytes = std::min(slice, size - at);
      if (const int failed = read_slice(fd, to + at, at, bytes)) error = failed;
      ::posix_fadvise(fd, static_cast<off_t>(at), static_cast<off_t>(bytes), POSIX_FADV_DONTNEED);
    }
  };
  std::vector<std::thread> others;
  const std::size_t most = std::min<std::size_t>({4, std::thread::hardware_concurrency(), size / slice + 1});
  for (std::size_t i = 1; i < most; ++i) others.emplace_back(work);
  work();
  for (std::thread& other : others) other.join();
  return error;
}

/// Bytes of the mapping with this address that the processor reaches through large pages; 0 where unknown.
std::uint64_t in_large_pages(const void* address) {
  std::FILE* maps = std::fopen("/proc/self/smaps", "re");
  if (maps == nullptr) return 0;
  const auto wanted = reinterpret_cast<std::uintptr_t>(address);
  std::uint64_t kib = 0;
  bool here = false;
  char line[512];
  while (std::fgets(line, sizeof line, maps) != nullptr) {
    std::uintptr_t begin = 0, end = 0;
    std::uint64_t value = 0;
    if (std::sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &begin, &end) == 2) {
      if (here) break;
      here = begin <= wanted && wanted < end;
    } else if (here && (std::sscanf(line, "AnonHugePages: %" SCNu64, &value) == 1 ||
                        std::sscanf(line, "FilePmdMapped: %" SCNu64, &value) == 1)) {
      kib += value;
    }
  }
  std::fclose(maps);
  return kib * 1024;
}

} // namespace

MappedFile MappedFile::open(const std::filesystem::path& path) {
  std::string name = path.string();
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)}; // a FIFO must not block
  if (file.fd < 0) throw_errno(name, "cannot be opened", errno);
  struct stat info {};
  if (::fstat(file.fd, &info) != 0) throw_errno(name, "cannot be examined", errno);
  if (S_ISDIR(info.st_mode))
    throw Error(Code::invalid_argument, fmt::format("{}: is a directory, not a file", name), "name a file inside it");
  if (!S_ISREG(info.st_mode))
    throw Error(Code::invalid_argument, fmt::format("{}: is not a regular file", name), "name a file on disk");
  if (info.st_size <= 0)
    throw Error(Code::data_loss, fmt::format("{}: the file is empty", name), "fetch or write it again");
  if (static_cast<std::uintmax_t>(info.st_size) > std::numeric_limits<std::size_t>::max())
    throw Error(Code::resource_exhausted, fmt::format("{}: is larger than the address space", name));
  const auto size = static_cast<std::size_t>(info.st_size);
  void* place = reserve(size); // large pages want address and offset in the file to agree
  if (place == nullptr) throw_errno(name, "cannot be mapped into memory", errno);
  void* data = ::mmap(place, size, PROT_READ, MAP_SHARED | MAP_FIXED, file.fd, 0);
  if (data == MAP_FAILED) {
    const int error = errno;
    ::munmap(place, up_to_large_page(size));
    throw_errno(name, "cannot be mapped into memory", error);
  }
  return {std::move(name), file.release(), static_cast<const std::byte*>(data), size};
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : name_(std::move(other.name_)), fd_(std::exchange(other.fd_, -1)), copied_(other.copied_),
      data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  if (this != &other) {
    unmap();
    name_ = std::move(other.name_);
    fd_ = std::exchange(other.fd_, -1);
    copied_ = other.copied_;
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

MappedFile::~MappedFile() { unmap(); }

void MappedFile::unmap() noexcept {
  if (data_) ::munmap(const_cast<std::byte*>(data_), up_to_large_page(size_));
  if (fd_ >= 0) ::close(fd_);
  data_ = nullptr;
  fd_ = -1;
}

void MappedFile::advise_random() const {
  if (data_ && !copied_) ::madvise(const_cast<std::byte*>(data_), size_, MADV_RANDOM);
}

void MappedFile::advise_large_pages() const {
#ifdef MADV_HUGEPAGE
  if (data_ && !copied_) ::madvise(const_cast<std::byte*>(data_), size_, MADV_HUGEPAGE);
#endif
}

void MappedFile::advise_willneed(std::uint64_t offset, std::uint64_t length) const {
  if (copied_) return;
  const Range range = clamp(offset, length, size_);
  const std::uint64_t begin = range.begin / page_bytes() * page_bytes();
  if (range.begin < range.end) ::madvise(const_cast<std::byte*>(data_) + begin, range.end - begin, MADV_WILLNEED);
}

void MappedFile::drop(std::uint64_t offset, std::uint64_t length) const {
  if (copied_) return; // these pages could not be read again
  const Range range = clamp(offset, length, size_);
  const std::uint64_t page = page_bytes();
  const std::uint64_t begin = (range.begin + page - 1) / page * page;
  // The last page of the file belongs to a range that reaches the end.
  const std::uint64_t end = range.end == size_ ? (range.end + page - 1) / page * page : range.end / page * page;
  if (begin < end) ::madvise(const_cast<std::byte*>(data_) + begin, end - begin, MADV_DONTNEED);
}

void MappedFile::copy_into_memory() {
  if (data_ == nullptr || copied_) return;
  const std::size_t whole = up_to_large_page(size_);
  void* place = reserve(size_);
  const auto refuse = [&](int error) {
    if (place != nullptr) ::munmap(place, whole);
    if (error != ENOMEM) throw_errno(name_, "cannot be copied into memory", error);
    throw Error(Code::resource_exhausted,
                fmt::format("{}: {} of memory for a copy are not to be had", name_, format_bytes(size_)),
                "leave the weights in the mapped file");
  };
  if (place == nullptr || ::mprotect(place, whole, PROT_READ | PROT_WRITE) != 0) refuse(errno);
#ifdef MADV_HUGEPAGE
  ::madvise(place, whole, MADV_HUGEPAGE);
#endif
  ::madvise(const_cast<std::byte*>(data_), size_, MADV_DONTNEED); // mapped pages would stay in the cache
  if (const int error = read_and_forget(fd_, static_cast<std::byte*>(place), size_)) refuse(error);
  ::mprotect(place, whole, PROT_READ);
  if (::mremap(place, whole, whole, MREMAP_MAYMOVE | MREMAP_FIXED, const_cast<std::byte*>(data_)) == MAP_FAILED)
    refuse(errno);
  copied_ = true;
  ::close(std::exchange(fd_, -1));
}

MappedFile::Residence MappedFile::residence() const {
  if (data_ == nullptr) return {};
  if (copied_) return {1, std::min(1.0, static_cast<double>(in_large_pages(data_)) / static_cast<double>(size_))};
  const std::size_t large = up_to_large_page(size_) / k_large_page, places = std::min<std::size_t>(large, 256);
  std::size_t cached = 0;
  for (std::size_t i = 0; i < places; ++i) { // in different large pages
    const std::byte* at = data_ + large * i / places * k_large_page;
    unsigned char here = 0;
    if (::mincore(const_cast<std::byte*>(at), 1, &here) != 0 || (here & 1) == 0) continue;
    ++cached;
    static_cast<void>(*static_cast<const volatile std::byte*>(at));
  }
  if (cached == 0) return {};
  const double mapped = static_cast<double>(in_large_pages(data_)) / static_cast<double>(k_large_page);
  return {static_cast<double>(cached) / static_cast<double>(places),
          std::min(1.0, mapped / static_cast<double>(cached))};
}

} // namespace seacliff
