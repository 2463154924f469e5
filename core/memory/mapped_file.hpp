// A file mapped read-only into memory, with advice to the kernel about its pages.
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
  /// Gives back the pages that lie wholly inside the range (after a repack). They are read again when touched.
  void drop(std::uint64_t offset, std::uint64_t length) const;

private:
  MappedFile(std::string name, const std::byte* data, std::size_t size)
      : name_(std::move(name)), data_(data), size_(size) {}
  void unmap() noexcept;

  std::string name_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

} // namespace seacliff
