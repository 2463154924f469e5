#include "core/memory/mapped_file.hpp"

#include "core/base/status.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <limits>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace seacliff {
namespace {

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
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

} // namespace

MappedFile MappedFile::open(const std::filesystem::path& path) {
  std::string name = path.string();
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)}; // a FIFO must not block
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
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.fd, 0);
  if (data == MAP_FAILED) throw_errno(name, "cannot be mapped into memory", errno);
  return {std::move(name), static_cast<const std::byte*>(data), size};
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : name_(std::move(other.name_)), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  if (this != &other) {
    unmap();
    name_ = std::move(other.name_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

MappedFile::~MappedFile() { unmap(); }

void MappedFile::unmap() noexcept {
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
  data_ = nullptr;
}

void MappedFile::advise_random() const {
  if (data_) ::madvise(const_cast<std::byte*>(data_), size_, MADV_RANDOM);
}

void MappedFile::advise_willneed(std::uint64_t offset, std::uint64_t length) const {
  const Range range = clamp(offset, length, size_);
  const std::uint64_t begin = range.begin / page_bytes() * page_bytes();
  if (range.begin < range.end) ::madvise(const_cast<std::byte*>(data_) + begin, range.end - begin, MADV_WILLNEED);
}

void MappedFile::drop(std::uint64_t offset, std::uint64_t length) const {
  const Range range = clamp(offset, length, size_);
  const std::uint64_t page = page_bytes();
  const std::uint64_t begin = (range.begin + page - 1) / page * page;
  // The last page of the file belongs to a range that reaches the end.
  const std::uint64_t end = range.end == size_ ? (range.end + page - 1) / page * page : range.end / page * page;
  if (begin < end) ::madvise(const_cast<std::byte*>(data_) + begin, end - begin, MADV_DONTNEED);
}

} // namespace seacliff
