#include "plugins/loader/transfer.hpp"

#include "plugins/loader/tables.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstring>

namespace seacliff::plugins {
namespace {

constexpr std::uint64_t k_least_piece = 64U << 10;

/// Of staging memory, as its heap allows.
std::uint64_t largest_piece(const Device& device) {
  const HeapInfo* heap = Staging::heap(device);
  if (heap == nullptr) heap = device.info().import_heap();
  return heap == nullptr || heap->max_alloc == 0 ? Transfer::k_piece : std::min(Transfer::k_piece, heap->max_alloc);
}

} // namespace

/// Mappable memory, in host memory rather than in the device's own.
const HeapInfo* Staging::heap(const Device& device) {
  if (device.tables().memory.map == nullptr) return nullptr;
  const HeapInfo* best = nullptr;
  for (const HeapInfo& heap : device.info().heaps)
    if (heap.mappable() && (best == nullptr || (best->kind != SCF_HEAP_HOST && heap.kind == SCF_HEAP_HOST)))
      best = &heap;
  return best;
}

Staging::Staging(Device& device, std::uint64_t bytes) {
  if (const HeapInfo* mappable = heap(device)) {
    buffer_ = device.alloc(bytes, 0, mappable->id);
    data_ = buffer_.map();
    return;
  }
  if (const HeapInfo* imports = device.info().import_heap()) {
    const std::uint64_t align = std::max<std::uint64_t>(imports->import_align, 64);
    const std::uint64_t whole = (bytes + align - 1) / align * align;
    pages_ = HostBuffer(whole, "staging memory", HostBuffer::Fill::none, HostBuffer::Pages::normal, align);
    data_ = pages_.data();
    if (std::optional<Buffer> buffer = device.import_host(data_, whole, false)) {
      buffer_ = std::move(*buffer);
      return;
    }
  }
  throw Error(
      Code::unimplemented,
      fmt::format("device {} has no memory that the host can reach: there is no way in or out", device.full_id()));
}

Transfer::Transfer(std::shared_ptr<Device> device, std::uint64_t timeout_ns)
    : device_(std::move(device)), timeout_ns_(timeout_ns) {}

std::uint64_t Transfer::submit(scf_slice dst, scf_slice src) {
  if (!queue_) {
    done_ = device_->create_semaphore();
    queue_ = device_->create_queue();
  }
  const scf_wait signal = done_.at(submitted_ + 1);
  if (!queue_->copy(dst, src, {}, {&signal, 1}))
    throw Error(Code::unimplemented,
                fmt::format("device {} has neither mappable memory nor copies", device_->full_id()));
  return ++submitted_;
}

void Transfer::copy(scf_slice dst, scf_slice src) { done_.wait(submit(dst, src), timeout_ns_); }

std::uint64_t Transfer::prepare(std::uint64_t bytes) {
  const std::uint64_t size = std::min(largest_piece(*device_), std::bit_ceil(std::max(bytes, k_least_piece)));
  for (Piece& piece : pieces_)
    if (piece.memory.bytes() < size) piece.memory = Staging(*device_, size);
  return std::min(pieces_[0].memory.bytes(), pieces_[1].memory.bytes());
}

void Transfer::write(Buffer& to, std::uint64_t offset, std::span<const std::byte> bytes) {
  write(to, offset, bytes.size(), 1, [&](std::uint64_t begin, std::span<std::byte> piece) {
    std::memcpy(piece.data(), bytes.data() + begin, piece.size());
  });
}

void Transfer::write(Buffer& to, std::uint64_t offset, std::uint64_t bytes, std::uint64_t unit, const Fill& fill) {
  if (bytes == 0) return;
  (void)to.slice(offset, bytes); // within the buffer
  const bool direct = to.mappable();
  const std::uint64_t size = (direct ? std::max(k_piece, unit) : prepare(std::max(bytes, unit))) / unit * unit;
  if (size == 0)
    throw Error(Code::resource_exhausted,
                fmt::format("device {} has no {} bytes of memory to pass a slice through", device_->full_id(), unit));
  for (std::uint64_t at = 0, i = 0; at < bytes; at += size, ++i) {
    const std::uint64_t n = std::min(size, bytes - at);
    if (direct) {
      fill(at, {to.map() + offset + at, n});
      to.flush(offset + at, n);
      continue;
    }
    Piece& piece = pieces_[i % 2];
    if (piece.busy_until != 0) done_.wait(piece.busy_until, timeout_ns_);
    fill(at, {piece.memory.data(), n});
    piece.memory.flush(0, n);
    piece.busy_until = submit(to.slice(offset + at, n), piece.memory.slice(0, n));
  }
  if (!direct) done_.wait(submitted_, timeout_ns_);
}

void Transfer::read(Buffer& from, std::uint64_t offset, std::span<std::byte> bytes) {
  if (bytes.empty()) return;
  (void)from.slice(offset, bytes.size());
  if (from.mappable()) {
    from.invalidate(offset, bytes.size());
    std::memcpy(bytes.data(), from.map() + offset, bytes.size());
    return;
  }
  const std::uint64_t size = prepare(bytes.size());
  const auto part = [&](std::uint64_t at) { return std::min<std::uint64_t>(size, bytes.size() - at); };
  const auto begin = [&](std::uint64_t at) {
    Piece& piece = pieces_[at / size % 2];
    piece.busy_until = submit(piece.memory.slice(0, part(at)), from.slice(offset + at, part(at)));
  };
  begin(0);
  for (std::uint64_t at = 0; at < bytes.size(); at += size) {
    if (at + size < bytes.size()) begin(at + size);
    Piece& piece = pieces_[at / size % 2];
    done_.wait(piece.busy_until, timeout_ns_);
    piece.memory.invalidate(0, part(at));
    std::memcpy(bytes.data() + at, piece.memory.data(), part(at));
  }
}

double measure_copies(const std::shared_ptr<Device>& device) {
  constexpr std::uint64_t largest = std::uint64_t{1} << 29, smallest = std::uint64_t{1} << 24;
  constexpr int least_rounds = 4, copies = 8;
  constexpr std::chrono::milliseconds enough(250); // a device that was idle runs at low clocks for a while
  if (device->tables().queue.copy == nullptr) return 0;
  const std::uint32_t heap = device->info().own_heap().id;
  const std::uint64_t room = std::min(device->budget(heap) / 4, largest), bytes = room / k_page * k_page;
  if (bytes < smallest) return 0;
  try {
    Buffer from = device->alloc(bytes), to = device->alloc(bytes);
    Queue queue = device->create_queue();
    Semaphore done = device->create_semaphore();
    std::uint64_t submitted = 0;
    double best = 0;
    const auto start = std::chrono::steady_clock::now();
    for (int round = 0; round < least_rounds || std::chrono::steady_clock::now() - start < enough; ++round) {
      const auto begin = std::chrono::steady_clock::now();
      for (int i = 0; i < copies; ++i) {
        const scf_wait before = done.at(submitted), after = done.at(++submitted);
        queue.copy(i % 2 == 0 ? to.slice() : from.slice(), i % 2 == 0 ? from.slice() : to.slice(), {&before, 1},
                   {&after, 1});
      }
      done.wait(submitted);
      const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
      best = std::max(best, 2e-9 * copies * static_cast<double>(bytes) / taken.count());
    }
    return best;
  } catch (const Error& error) {
    if (error.code() != Code::resource_exhausted) throw;
    return 0; // what is free is not always there in one piece
  }
}

} // namespace seacliff::plugins
