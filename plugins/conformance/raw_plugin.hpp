// A plugin without the loader in between: for tests of loading itself, of hosts of other ages, and of closing.
#pragma once

#include "plugins/loader/plugin.hpp"

#include <seacliff/abi/scf_abi.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace seacliff::conform {

/// The shared object, loaded as the loader does it, and unloaded in the end.
class Library {
public:
  /// Throws Error(unavailable) with the system's words.
  explicit Library(const std::filesystem::path& file);
  ~Library() { close(); }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  void close();
  scf_plugin_query_fn entry() const { return entry_; }
  /// The full-size description. Throws Error when the query gives none.
  scf_plugin query(const scf_host& host) const;

private:
  void* handle_ = nullptr;
  scf_plugin_query_fn entry_ = nullptr;
};

/// Bytes whose end (or beginning) touches memory that may not be read: who reads beyond dies.
class Guarded {
public:
  explicit Guarded(std::uint64_t bytes);
  ~Guarded();
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  std::byte* data() const { return data_; }
  std::uint64_t bytes() const { return bytes_; }
  template <typename T> T* as() const { return reinterpret_cast<T*>(data_); }

private:
  std::byte* base_ = nullptr;
  std::byte* data_ = nullptr;
  std::uint64_t bytes_, mapped_ = 0;
};

/// A copy of a struct as a writer that knows `size` bytes of it hands it over: it ends at memory that may not be read,
/// and what is longer than the struct is rubbish. The size in the header is set.
template <typename T> std::unique_ptr<Guarded> aged(const T& full, std::uint64_t size) {
  auto copy = std::make_unique<Guarded>(size);
  std::memset(copy->data(), 0xa5, size);
  std::memcpy(copy->data(), &full, std::min<std::uint64_t>(size, sizeof(T)));
  copy->template as<scf_hdr>()->size = static_cast<std::uint32_t>(size);
  return copy;
}

/// A device that an opened instance reports.
struct SeenDevice {
  std::string id;
  bool usable = false;
};

/// open() to close() of one instance, by hand.
class Instance {
public:
  /// Throws Error with what open() says.
  Instance(const scf_plugin& plugin, const scf_host& host, const plugins::Options& options);
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  const scf_plugin_api& api() const { return api_; }
  scf_instance* handle() const { return handle_; }
  std::vector<SeenDevice> enumerate() const;
  /// Opens and closes every usable device.
  void visit_devices() const;
  /// Throws Error with what close() says.
  void close();

private:
  scf_plugin_api api_{};
  scf_instance* handle_ = nullptr;
};

/// Options as the ABI has them. Borrows the strings.
std::vector<scf_kv> to_pairs(const plugins::Options& options);

} // namespace seacliff::conform
