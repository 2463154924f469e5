// A right plugin with three ops and a layout of its own. What it does else, a constant says (subject.hpp): this file is
// compiled once for all of them.
#include "subject.hpp"

#include "async_queue.hpp"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>
#ifdef __SSE2__
#include <immintrin.h>
#endif

namespace {

using namespace seacliff::sdk;
using seacliff::DType;

#ifdef __SSE2__
[[gnu::constructor]] void flush_denormals() {
  if (k_way == Way::floats) _mm_setcsr(_mm_getcsr() | 0x8040u);
}
#endif

// ---- kernels -------------------------------------------------------------------------------------------------------

class Add final : public Kernel {
public:
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const float *a = call.input(0).f32(), *b = call.input(1).f32();
    float* out = call.output(0).f32();
    const auto [begin, end] = worker.share(call.output(0).elems());
    for (std::int64_t i = begin; i < end; ++i) out[i] = a[i] + b[i];
    if (k_way == Way::bounds && worker.index() == 0) out[call.output(0).elems()] = 1;
    if (k_way == Way::input && worker.index() == 0) call.input(0).f32()[0] += 1;
  }
};

/// sum over slots
class SumSlots final : public Kernel {
public:
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &x = call.input(0), &out = call.output(0);
    const std::int64_t slots = x.dim(1), n = x.dim(2);
    const auto [begin, end] = worker.share(out.rows());
    for (std::int64_t t = begin; t < end; ++t)
      for (std::int64_t i = 0; i < n; ++i) {
        float sum = 0;
        for (std::int64_t s = 0; s < slots; ++s) sum += x.f32()[(t * slots + s) * n + i];
        out.f32_row(t)[i] = sum;
      }
  }
};

constexpr std::int64_t k_tile = 4; // rows that the layout interleaves
constexpr std::uint32_t k_tiled = 1;

/// Element (row, column) of a weight of k columns in the layout.
std::int64_t place(std::uint32_t layout, std::int64_t row, std::int64_t column, std::int64_t k) {
  return layout == 0 ? row * k + column : row / k_tile * k_tile * k + column * k_tile + row % k_tile;
}

class Product final : public Kernel {
public:
  explicit Product(std::uint32_t layout) : layout_(layout) {}
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const Tensor &x = call.input(0), &w = call.input(1), &out = call.output(0);
    const std::int64_t k = w.cols(), n = w.rows();
    const auto [begin, end] = worker.share(x.rows());
    for (std::int64_t t = begin; t < end; ++t)
      for (std::int64_t row = 0; row < n; ++row) {
        double sum = 0;
        for (std::int64_t c = 0; c < k; ++c) sum += double{x.f32_row(t)[c]} * w.f32()[place(layout_, row, c, k)];
        out.f32_row(t)[row] = static_cast<float>(sum);
      }
    if (begin != 0 || end == 0) return;
    if (k_way == Way::result && n == 130) out.f32_row(0)[129] += 1;
    static std::atomic<int> runs{0};
    if (k_way == Way::repeat && runs++ % 2 == 1) out.f32_row(0)[0] *= 1.0000002f;
  }

private:
  std::uint32_t layout_;
};

Claim all_f32(const NodeView& node) {
  for (std::uint32_t i = 0; i < node.n_in(); ++i)
    if (node.in(i) && node.in(i).dtype() != DType::f32) return Claim::no("every operand must be f32");
  return Claim::ok();
}

std::unique_ptr<Kernel> not_made(const NodeView&) { throw Failure(SCF_UNIMPLEMENTED, "not written yet"); }

template <typename T> std::unique_ptr<Kernel> made(const NodeView&) { return std::make_unique<T>(); }

constexpr KernelEntry k_kernels[] = {
    {"add", all_f32, made<Add>},
    {"sum_slots", all_f32,
     [](const NodeView& node) -> std::unique_ptr<Kernel> {
       if (k_way == Way::exit) std::exit(7);
       return made<SumSlots>(node);
     }},
    {"matmul", all_f32,
     [](const NodeView& node) -> std::unique_ptr<Kernel> {
       return std::make_unique<Product>(node.in(1).value->layout);
     }},
    {"sqrt_softplus", all_f32, not_made}, // of Way::claim alone
};

// ---- the plugin ----------------------------------------------------------------------------------------------------

class Subject final : public KernelPlugin {
public:
  static constexpr std::string_view k_name = "subject", k_vendor = "Sea Cliff tests", k_version = "1.0.0";

  std::vector<DeviceDesc> devices() override {
    DeviceDesc device;
    device.id = "subject:0";
    if (k_way == Way::id) device.id += std::to_string(getpid());
    device.name = "three ops";
    device.heaps = {host_heap()};
    if (k_way == Way::async || k_way == Way::block) device.flags |= SCF_DEVICE_ASYNC;
    if (k_way == Way::staged) {
      device.flags &= ~std::uint32_t{SCF_DEVICE_UNIFIED_MEMORY};
      device.heaps = {host_heap(), host_heap()};
      device.heaps[0].kind = SCF_HEAP_DEVICE_LOCAL;
      device.heaps[0].flags = 0;
      device.heaps[0].import_kinds = device.heaps[1].import_kinds = 0;
      device.heaps[1].id = 1;
    }
    return {device};
  }
  std::span<const KernelEntry> kernels(const DeviceDesc&) override {
    return std::span(k_kernels).first(k_way == Way::claim ? 4 : 3);
  }

  std::vector<LayoutDesc> layouts(const DeviceDesc&, const ValueView& weight) const override {
    if (weight.dtype() != DType::f32 || weight.rows() % k_tile != 0) return {};
    const auto bytes = static_cast<std::uint64_t>(weight.rows() * weight.cols()) * sizeof(float);
    return {{"subject.f32.r4/1", k_tiled, bytes, 64, k_tile}};
  }
  void repack(const DeviceDesc&, const ValueView& weight, std::uint32_t layout, Range rows, const std::byte* src,
              std::byte* dst) const override {
    move(weight, rows, src, dst, 0, layout);
  }
  void unpack(const DeviceDesc&, const ValueView& weight, std::uint32_t layout, Range rows, const std::byte* src,
              std::byte* dst) const override {
    move(weight, rows, src, dst, layout, 0);
    if (k_way == Way::unpack) dst[0] ^= std::byte{1};
  }

private:
  /// src and dst begin at rows.begin.
  static void move(const ValueView& weight, Range rows, const std::byte* src, std::byte* dst, std::uint32_t from,
                   std::uint32_t to) {
    const std::int64_t k = weight.cols();
    for (std::int64_t row = 0; row < rows.end - rows.begin; ++row)
      for (std::int64_t c = 0; c < k; ++c)
        reinterpret_cast<float*>(dst)[place(to, row, c, k)] =
            reinterpret_cast<const float*>(src)[place(from, row, c, k)];
  }
};

// ---- tables that go wrong ------------------------------------------------------------------------------------------

using Open = scf_status* (*)(const scf_host*, const scf_kv*, std::uint32_t, scf_instance**);
constexpr Open right_open = tables::open<Subject>;

scf_status* open_first(const scf_host* host, const scf_kv* pairs, std::uint32_t count, scf_instance** out) {
  if (k_way == Way::print) std::printf("subject 1.0: hello\n");
  if (k_way == Way::thread) std::thread([] { ::sleep(1000); }).detach();
  if (k_way == Way::file && ::open("/dev/null", O_RDONLY) < 0) std::abort();
  if (k_way == Way::memory) {
    static void* volatile lost;
    lost = std::malloc(1000);
    if (lost == nullptr) std::abort();
  }
  if (k_way == Way::size && host->h.size != sizeof(scf_host))
    return make_status(host, SCF_INCOMPATIBLE, "the host is not mine");
  return right_open(host, pairs, count, out);
}

scf_status* wrong_close(scf_instance* instance) {
  *reinterpret_cast<volatile int*>(std::uintptr_t{64}) = 1;
  return tables::close(instance);
}

scf_status* wrong_alloc(scf_device* device, std::uint32_t heap, std::uint64_t bytes, std::uint64_t align,
                        scf_buffer** out) {
  constexpr std::uint64_t k_much = 1ull << 40;
  return tables::buffer_alloc(device, heap, bytes > k_much ? 64 : bytes, align, out);
}

/// What fails never reaches its signals.
scf_status* submit_without_signals(scf_queue* queue, scf_exec* exec, const scf_submit* step) {
  scf_submit alone = read_struct(step);
  alone.n_signals = 0;
  if (scf_status* status = tables::submit(queue, exec, &alone)) return status;
  for (std::uint64_t i = 0; i < step->n_signals; ++i)
    if (scf_status* status = tables::sema_signal(step->signals[i].sema, step->signals[i].value)) return status;
  return nullptr;
}

scf_status* throwing_submit(scf_queue*, scf_exec*, const scf_submit*) {
  throw std::runtime_error("the queue fell over");
}

scf_status* hanging_submit(scf_queue* queue, scf_exec* exec, const scf_submit* step) {
  for (std::uint64_t i = 0; i < step->n_dims; ++i)
    while (step->dims[i].value == 33) ::sleep(1);
  return tables::submit(queue, exec, step);
}

scf_status* wrong_device_open(scf_instance* instance, scf_str id, const scf_kv* pairs, std::uint32_t count,
                              scf_device** out) {
  static scf_device* only = nullptr;
  if (only == nullptr) {
    if (scf_status* status = tables::device_open(instance, id, pairs, count, out)) return status;
    only = *out;
  }
  *out = only;
  return nullptr;
}

void wrong_free(scf_buffer* buffer) {
  if (buffer == nullptr) std::abort();
  tables::buffer_free(buffer);
}

/// Leaves out what a timeline would refuse.
scf_status* lenient_submit(scf_queue* queue, scf_exec* exec, const scf_submit* step) {
  scf_submit larger = read_struct(step);
  std::vector<scf_wait> signals;
  for (std::uint64_t i = 0; i < step->n_signals; ++i) {
    std::uint64_t value = 0;
    const Status failed(tables::QueueObject::of(queue)->device->host(),
                        tables::sema_query(step->signals[i].sema, &value));
    if (!failed.ok() || step->signals[i].value > value) signals.push_back(step->signals[i]);
  }
  larger.signals = signals.data();
  larger.n_signals = signals.size();
  return tables::submit(queue, exec, &larger);
}

scf_plugin_api make_api() {
  static scf_memory_api memory = tables::k_memory;
  static scf_queue_api queue = tables::k_queue;
  scf_plugin_api api = tables::k_api<Subject>;
  api.memory = &memory;
  api.queue = &queue;
  api.open = open_first;
  switch (k_way) {
  case Way::close: api.close = wrong_close; break;
  case Way::twice: api.device_open = wrong_device_open; break;
  case Way::alloc: memory.alloc = wrong_alloc; break;
  case Way::null: memory.free = wrong_free; break;
  case Way::staged: memory.import_host = nullptr; break;
  case Way::exception: queue.submit = throwing_submit; break;
  case Way::hang: queue.submit = hanging_submit; break;
  case Way::signal: queue.submit = submit_without_signals; break;
  case Way::value: queue.submit = lenient_submit; break;
  case Way::async: api.queue = &async::k_queue; break;
  default: break;
  }
  return api;
}

} // namespace

extern "C" SCF_EXPORT std::uint32_t scf_plugin_query_v1(const scf_host* host, const scf_plugin** out) {
  if (k_way == Way::query) setenv("SUBJECT_WAS_HERE", "1", 1);
  static const scf_plugin_api api = make_api();
  static const scf_plugin plugin = [] {
    scf_plugin made = tables::k_plugin<Subject>;
    made.api = &api;
    return made;
  }();
  *out = &plugin;
  return host->minor_min <= SCF_ABI_MINOR && SCF_ABI_MINOR <= host->minor_max ? SCF_OK : SCF_INCOMPATIBLE;
}
