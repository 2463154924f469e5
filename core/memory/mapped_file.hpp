// A file mapped read-only into memory, with advice to the kernel about its pages, or copied into
// memory of this process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace seacliff {

/// Owns the mapping; the bytes live as long as this object and move with it unchanged in address. The file must not be
/// truncated while it is mapped: reading past the new end raises SIGBUS, as with every mapping.
class MappedFile {
public:
  /// Throws Error(not_found | permission_denied | invalid_argument | unavailable) that names the file. A directory, a
  /// device and an empty file are errors.
  static MappedFile open(const std::filesystem::path& path);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::string& name() const { return name_; }

  // Hints: what the kernel declines is ignored, what lies outside the file is cut off. All may be called from any
  // thread.
  /// No read-ahead: for weights that are picked expert by expert.
  void advise_random() const;
  /// Starts reading the pages that hold any byte of the range.
  void advise_willneed(std::uint64_t offset, std::uint64_t length) const;
  /// Pages of 2 MB from here on, for what is not yet in the page cache; what is cached in small pages stays so. Works
  /// where the file system keeps large folios (Linux 6.16 with ext4, XFS); else nothing happens.
  void advise_large_pages() const;
  /// Gives back the pages that lie wholly inside the range (after a repack). They are read again when touched.
  void drop(std::uint64_t offset, std::uint64_t length) const;

  /// The bytes in memory of this process, in pages of 2 MB where the kernel has them, at the same addresses; advice has
  /// no effect any more. Each slice leaves the page cache when it is copied, so that memory does not hold it twice.
  /// Nobody may read meanwhile. Throws Error(resource_exhausted | unavailable); the mapping is then as it was.
  void copy_into_memory();

  /// Parts of the whole, 0 to 1. `large`: of what is in memory.
  struct Residence {
    double in_memory = 0, large = 0;
  };
  /// An estimate from up to 256 places, a millisecond or less; touches those that are cached.
  Residence residence() const;

private:
  MappedFile(std::string name, int fd, const std::byte* data, std::size_t size)
      : name_(std::move(name)), fd_(fd), data_(data), size_(size) {}
  void unmap() noexcept;

  std::string name_;
  int fd_ = -1; // open until the bytes are copied
  bool copied_ = false;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

} // namespace seacliff
