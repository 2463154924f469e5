// L2: memory. Every heap gives what it promises, refuses cleanly what it has not, and carries bytes there and back.
#include "plugins/conformance/context.hpp"
#include "plugins/conformance/levels.hpp"
#include "plugins/conformance/process_state.hpp"
#include "plugins/conformance/raw_plugin.hpp"
#include "plugins/conformance/workbench.hpp"
#include "plugins/loader/tables.hpp"

#include "ops/cases/data.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

namespace seacliff::conform {
namespace {

using plugins::Buffer;
using plugins::Device;
using plugins::HeapInfo;

std::vector<std::byte> noise(std::uint64_t bytes, std::uint64_t seed) {
  ops::Random random(seed);
  std::vector<std::byte> result(bytes);
  for (std::byte& b : result) b = static_cast<std::byte>(random.next());
  return result;
}

bool has_map(const Device& device, const HeapInfo& heap) {
  return heap.mappable() && device.tables().memory.map != nullptr;
}

/// What map promises of a buffer's address, whatever larger alignment the device itself sees.
constexpr std::uint64_t k_map_align = 64;

/// What alloc says.
Code alloc_code(const Device& device, std::uint32_t heap, std::uint64_t bytes, std::uint64_t align) {
  scf_buffer* handle = nullptr;
  const Status status =
      plugins::take_status(device.tables().memory.alloc(device.handle(), heap, bytes, align, &handle));
  if (status.ok()) device.tables().memory.free(handle);
  return status.code;
}

void sizes(Trial& trial, Device& device, const HeapInfo& heap) {
  for (const std::uint64_t bytes : {1ull, 3ull, 64ull, 65ull, 4096ull, 100001ull, 1ull << 20})
    for (const std::uint64_t align : {1ull, 64ull, 256ull, 4096ull}) {
      Buffer buffer = device.alloc(bytes, align, heap.id);
      if (!has_map(device, heap)) continue;
      const auto address = reinterpret_cast<std::uintptr_t>(buffer.map());
      trial.expect(address != 0 && address % std::min(align, k_map_align) == 0, "alignment",
                   fmt::format("{} bytes aligned to {} are mapped at {:#x}", bytes, align, address));
    }
}

void zero(Trial& trial, Device& device, const HeapInfo& heap) {
  const Code code = alloc_code(device, heap.id, 0, 64);
  trial.expect(code == Code::ok || code == Code::invalid_argument, "zero",
               fmt::format("a buffer of no bytes is {}: neither made nor invalid_argument", code_name(code)));
}

void too_large(Trial& trial, Device& device, const HeapInfo& heap) {
  std::vector<std::uint64_t> sizes{1ull << 62, ~0ull, ~0ull - 100};
  if (heap.total != 0) sizes.push_back(2 * heap.total);
  if (heap.max_alloc != 0) sizes.push_back(heap.max_alloc + 1);
  for (const std::uint64_t bytes : sizes) {
    const Code code = alloc_code(device, heap.id, bytes, 64);
    trial.expect(code == Code::resource_exhausted, "too-large",
                 fmt::format("a buffer of {} bytes is {}, not resource_exhausted", bytes, code_name(code)));
  }
}

void nonsense(Trial& trial, Device& device, const HeapInfo& heap) {
  const Code align = alloc_code(device, heap.id, 64, 48);
  trial.expect(align == Code::invalid_argument, "arguments",
               fmt::format("an alignment of 48 is {}, not invalid_argument", code_name(align)));
  const Code unknown = alloc_code(device, 0xdead, 64, 64);
  trial.expect(unknown == Code::not_found || unknown == Code::invalid_argument, "arguments",
               fmt::format("a heap that is not there is {}, not not_found", code_name(unknown)));
}

void round_trip(Trial& trial, Device& device, const HeapInfo& heap) {
  if (!has_map(device, heap)) trial.skip("the heap cannot be mapped");
  for (const std::uint64_t bytes : {1ull, 4097ull, 300000ull}) {
    const std::vector<std::byte> data = noise(bytes, bytes);
    Buffer buffer = device.alloc(bytes, 64, heap.id);
    std::memcpy(buffer.map(), data.data(), bytes);
    buffer.flush(0, bytes);
    buffer.unmap();
    buffer.invalidate(0, bytes);
    trial.expect(std::memcmp(buffer.map(), data.data(), bytes) == 0, "round-trip",
                 fmt::format("{} bytes come back different", bytes));
  }
}

void windows(Trial& trial, Device& device, const HeapInfo& heap) {
  if (!has_map(device, heap)) trial.skip("the heap cannot be mapped");
  const auto& memory = device.tables().memory;
  Buffer buffer = device.alloc(1000, 64, heap.id);
  std::byte* base = buffer.map();
  base[300] = std::byte{42};
  buffer.flush(0, 1000);
  buffer.unmap();
  void* window = nullptr;
  plugins::check(memory.map(buffer.handle(), 300, 100, &window), "map of a window");
  trial.expect(*static_cast<std::byte*>(window) == std::byte{42}, "window", "map() ignores the offset");
  plugins::check(memory.unmap(buffer.handle()), "unmap");
  for (const auto& [offset, bytes] : {std::pair{1000ull, 1ull}, {0ull, 1001ull}, {~0ull, 2ull}, {8ull, ~0ull}}) {
    const Status status = plugins::take_status(memory.map(buffer.handle(), offset, bytes, &window));
    trial.expect(
        status.code == Code::out_of_range || status.code == Code::invalid_argument, "window",
        fmt::format("mapping {} bytes at {} of 1000 is {}, not out_of_range", bytes, offset, code_name(status.code)));
    if (status.ok()) plugins::take_status(memory.unmap(buffer.handle()));
  }
}

void copies(Trial& trial, Context& context, const std::string& id, const HeapInfo& heap) {
  const auto& device = context.device(id);
  if (device->tables().queue.copy == nullptr) trial.skip("the device has no copies: the host maps");
  Transfer transfer(device, context.settings.wait_s);
  struct Move {
    std::uint64_t bytes, from, to, moved;
  };
  constexpr std::uint64_t k_mega = 1 << 20; // devices may copy much and little in different ways
  for (const Move& m : {Move{5000, 256, 1024, 3000}, Move{3 * k_mega + 80, 4096, 512, 2 * k_mega + 48}}) {
    const std::vector<std::byte> source = noise(m.bytes, 1), before = noise(m.bytes, 2);
    Buffer from = device->alloc(m.bytes, 256, heap.id), to = device->alloc(m.bytes, 256, heap.id);
    transfer.write(from, 0, source);
    transfer.write(to, 0, before);
    transfer.copy(to.slice(m.to, m.moved), from.slice(m.from, m.moved));
    std::vector<std::byte> expected = before;
    std::copy_n(source.begin() + static_cast<std::ptrdiff_t>(m.from), m.moved,
                expected.begin() + static_cast<std::ptrdiff_t>(m.to));
    trial.expect(transfer.read(to, 0, m.bytes) == expected, "copy",
                 fmt::format("a copy of {} bytes moved other bytes", m.moved));
    trial.expect(transfer.read(from, 0, m.bytes) == source, "copy", "a copy changed its source");
  }
}

void many(Trial& trial, Device& device, const HeapInfo& heap) {
  constexpr int k_buffers = 500;
  constexpr std::uint64_t k_allowed = 64ull * k_buffers;
  const auto round = [&] {
    std::vector<Buffer> buffers;
    for (int i = 0; i < k_buffers; ++i)
      buffers.push_back(device.alloc(static_cast<std::uint64_t>(1 + i % 700), 64, heap.id));
    for (int i = 0; i < k_buffers; i += 2) buffers[static_cast<std::size_t>(i)] = Buffer();
  };
  round();
  const std::uint64_t before = allocated_bytes();
  for (int i = 0; i < 4; ++i) round();
  const std::uint64_t after = allocated_bytes();
  if (after > before + k_allowed)
    trial.fail("leak", fmt::format("{} buffers, made and freed, leave {} bytes behind", 4 * k_buffers, after - before));
}

// ---- import --------------------------------------------------------------------------------------------------------

constexpr std::uint64_t k_page = 4096;

/// An import of whole pages, which a heap that offers imports takes.
std::optional<Buffer> imported(Trial& trial, Device& device, const std::byte* pages, std::uint64_t bytes,
                               bool read_only) {
  const HeapInfo* heap = device.info().import_heap();
  if (heap == nullptr || device.tables().memory.import_host == nullptr)
    trial.skip("the device does not import host memory");
  if (heap->import_align > k_page) trial.skip("the device imports larger pages only");
  Code why = Code::ok;
  std::optional<Buffer> buffer = device.import_host(pages, bytes, read_only, &why);
  if (!buffer && read_only && why == Code::unimplemented)
    trial.skip("the device takes only pages that may be written: the host copies");
  if (!buffer) trial.stop("import", fmt::format("heap {} offers imports and does not take {} bytes", heap->id, bytes));
  return buffer;
}

/// Pages that may not be written, as those of a mapped file.
void read_only(Trial& trial, Context& context, const std::string& id) {
  const auto& device = context.device(id);
  constexpr std::uint64_t k_bytes = 2 * k_page;
  Guarded pages(k_bytes);
  const std::vector<std::byte> data = noise(k_bytes, 5);
  std::memcpy(pages.data(), data.data(), k_bytes);
  if (mprotect(pages.data(), k_bytes, PROT_READ) != 0) trial.skip("pages cannot be protected here");
  const std::optional<Buffer> buffer = imported(trial, *device, pages.data(), k_bytes, true);
  if (device->tables().queue.copy == nullptr) return;
  Transfer transfer(device, context.settings.wait_s);
  Buffer other = device->alloc(k_bytes, 0, transfer.heap().id);
  transfer.copy(other.slice(), buffer->slice());
  trial.expect(transfer.read(other, 0, k_bytes) == data, "import", "the device reads other bytes than the pages have");
}

void import(Trial& trial, Context& context, const std::string& id) {
  const auto& device = context.device(id);
  constexpr std::uint64_t k_bytes = 3 * k_page; // the last one before memory that may not be touched
  Guarded pages(k_bytes);
  const std::vector<std::byte> data = noise(k_bytes, 3);
  std::memcpy(pages.data(), data.data(), k_bytes);
  std::optional<Buffer> buffer = imported(trial, *device, pages.data(), k_bytes, false);
  Transfer transfer(device, context.settings.wait_s);
  if (buffer->mappable()) {
    try {
      trial.expect(buffer->map() == pages.data(), "import",
                   "an imported buffer is mapped somewhere else: it is a copy");
      buffer->unmap();
    } catch (const Error& error) {
      trial.note(fmt::format("imported memory cannot be mapped: {}", error.what()));
    }
  }
  if (device->tables().queue.copy != nullptr) {
    Buffer other = device->alloc(k_bytes, 256, transfer.heap().id);
    transfer.copy(other.slice(), buffer->slice());
    trial.expect(transfer.read(other, 0, k_bytes) == data, "import",
                 "the device reads other bytes than the host wrote");
    const std::vector<std::byte> back = noise(k_bytes, 4);
    transfer.write(other, 0, back);
    transfer.copy(buffer->slice(4096, 4096), other.slice(4096, 4096));
    trial.expect(std::memcmp(pages.data() + 4096, back.data() + 4096, 4096) == 0, "import",
                 "the host does not see what the device wrote");
    trial.expect(std::memcmp(pages.data(), data.data(), 4096) == 0, "import", "a copy wrote beyond its slice");
  }
  buffer.reset();
  pages.data()[0] = std::byte{1}; // still the host's
}

using Body = std::function<void(Trial&, Context&, const HeapInfo&)>;

/// Skips when there is nothing to test on any of them.
void on_every_heap(Trial& trial, Context& context, const std::string& id, const Body& body) {
  bool tested = false;
  std::string reason;
  for (const HeapInfo& heap : context.device(id)->info().heaps) {
    try {
      body(trial, context, heap);
      tested = true;
    } catch (const Skip& skip) {
      reason = skip.reason;
    }
  }
  if (!tested) trial.skip(reason);
}

} // namespace

std::vector<Test> memory_tests(const Target& target) {
  // Heaps are looked up when a test runs: their number is not known before.
  std::vector<Test> tests;
  const auto add = [&](const std::string& name, std::string title, Body body) {
    tests.push_back({fmt::format("L2:heap:{}{}", name, target.suffix), std::move(title),
                     [id = target.id, body = std::move(body)](Trial& trial, Context& context) {
                       on_every_heap(trial, context, id, body);
                     }});
  };
  const auto plain = [id = target.id](auto body) -> Body {
    return [id, body](Trial& trial, Context& context, const HeapInfo& heap) { body(trial, *context.device(id), heap); };
  };
  add("sizes", "all sizes and alignments", plain(sizes));
  add("zero", "a buffer of no bytes", plain(zero));
  add("too-large", "more than there is", plain(too_large));
  add("arguments", "unknown heaps and odd alignments are refused", plain(nonsense));
  add("round-trip", "what is written through map comes back", plain(round_trip));
  add("windows", "maps of a part, and beyond the end", plain(windows));
  add("copies", "copies move just what they shall",
      [id = target.id](Trial& trial, Context& context, const HeapInfo& heap) { copies(trial, context, id, heap); });
  add("many", "hundreds of buffers leave nothing behind", plain(many));
  tests.push_back({fmt::format("L2:import:host{}", target.suffix), "host memory is used in place",
                   [id = target.id](Trial& trial, Context& context) { import(trial, context, id); }});
  tests.push_back({fmt::format("L2:import:read-only{}", target.suffix), "pages that may not be written",
                   [id = target.id](Trial& trial, Context& context) { read_only(trial, context, id); }});
  return tests;
}

} // namespace seacliff::conform
