// A right plugin with three ops and a layout of its own, and many that are wrong in one way each, by a definition:
//   WRONG_RESULT    a product is wrong in one shape          WRONG_CLAIM    claims an op that it does not compile
//   WRONG_BOUNDS    writes one float behind its output       WRONG_INPUT    writes into its input
//   WRONG_REPEAT    two runs differ in their last bits       WRONG_UNPACK   unpack is not the inverse of repack
//   WRONG_THREAD    leaves a thread behind                   WRONG_FILE     leaves a file open
//   WRONG_MEMORY    leaks with every open()                  WRONG_CLOSE    crashes in close()
//   WRONG_STDOUT    prints in open()                         WRONG_QUERY    sets an environment variable in the query
//   WRONG_FLOATS    denormals are flushed once it is loaded  WRONG_SIZE     refuses hosts that know more
//   WRONG_THROW     an exception leaves submit()             WRONG_HANG     submit() of one shape never returns
//   WRONG_EXIT      compile() of one op ends the process     WRONG_SIGNAL   signals of a failed submit never fail
//   WRONG_ALLOC     gives memory that is not there           WRONG_ID       device ids change with the process
//   WRONG_TWICE     opens a device once only                 WRONG_NULL      free(NULL) crashes
//   WRONG_ASYNC     says it is asynchronous and blocks       WRONG_VALUE     ignores signals that are not larger
//   WRONG_EXPORT    a second exported symbol (no definition: built without the version script)
// Right ones that are not like the CPU:
//   RIGHT_STAGED    its first heap cannot be mapped, host memory is not imported: everything is copied
//   RIGHT_ASYNC     submit() returns at once, a thread per queue does the work
// To add a wrong plugin: a definition here, a line in ../CMakeLists.txt, a line in ../conform_test.cpp.
#include "async_queue.hpp"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>
#if defined(WRONG_FLOATS) && defined(__SSE2__)
#include <immintrin.h>
#endif

namespace {

using namespace seacliff::sdk;
using seacliff::DType;

#if defined(WRONG_FLOATS) && defined(__SSE2__)
[[gnu::constructor]] void flush_denormals() { _mm_setcsr(_mm_getcsr() | 0x8040u); }
#endif

// ---- kernels -------------------------------------------------------------------------------------------------------

class Add final : public Kernel {
public:
  void run(const KernelCall& call, const Worker& worker) const noexcept override {
    const float *a = call.input(0).f32(), *b = call.input(1).f32();
    float* out = call.output(0).f32();
    const auto [begin, end] = worker.share(call.output(0).elems());
    for (std::int64_t i = begin; i < end; ++i) out[i] = a[i] + b[i];
#ifdef WRONG_BOUNDS
    if (worker.index() == 0) out[call.output(0).elems()] = 1;
#endif
#ifdef WRONG_INPUT
    if (worker.index() == 0) call.input(0).f32()[0] += 1;
#endif
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
#ifdef WRONG_RESULT
    if (begin == 0 && end > 0 && n == 130) out.f32_row(0)[129] += 1;
#endif
#ifdef WRONG_REPEAT
    static std::atomic<int> runs{0};
    if (begin == 0 && end > 0 && runs++ % 2 == 1) out.f32_row(0)[0] *= 1.0000002f;
#endif
  }

private:
  std::uint32_t layout_;
};

Claim all_f32(const NodeView& node) {
  for (std::uint32_t i = 0; i < node.n_in(); ++i)
    if (node.in(i) && node.in(i).dtype() != DType::f32) return Claim::no("every operand must be f32");
  return Claim::ok();
}

#ifdef WRONG_CLAIM
std::unique_ptr<Kernel> not_made(const NodeView&) { throw Failure(SCF_UNIMPLEMENTED, "not written yet"); }
#endif

template <typename T> std::unique_ptr<Kernel> made(const NodeView&) { return std::make_unique<T>(); }

constexpr KernelEntry k_kernels[] = {
    {"add", all_f32, made<Add>},
    {"sum_slots", all_f32,
     [](const NodeView& node) -> std::unique_ptr<Kernel> {
#ifdef WRONG_EXIT
       std::exit(7);
#endif
       return made<SumSlots>(node);
     }},
    {"matmul", all_f32,
     [](const NodeView& node) -> std::unique_ptr<Kernel> {
       return std::make_unique<Product>(node.in(1).value->layout);
     }},
#ifdef WRONG_CLAIM
    {"sqrt_softplus", all_f32, not_made},
#endif
};

// ---- the plugin ----------------------------------------------------------------------------------------------------

class Subject final : public KernelPlugin {
public:
  static constexpr std::string_view k_name = "subject", k_vendor = "Sea Cliff tests", k_version = "1.0.0";

  std::vector<DeviceDesc> devices() override {
    DeviceDesc device;
    device.id = "subject:0";
#ifdef WRONG_ID
    device.id += std::to_string(getpid());
#endif
    device.name = "three ops";
    device.heaps = {host_heap()};
#if defined(RIGHT_ASYNC) || defined(WRONG_ASYNC)
    device.flags |= SCF_DEVICE_ASYNC;
#endif
#ifdef RIGHT_STAGED
    device.flags &= ~std::uint32_t{SCF_DEVICE_UNIFIED_MEMORY};
    device.heaps = {host_heap(), host_heap()};
    device.heaps[0].kind = SCF_HEAP_DEVICE_LOCAL;
    device.heaps[0].flags = 0;
    device.heaps[0].import_kinds = device.heaps[1].import_kinds = 0;
    device.heaps[1].id = 1;
#endif
    return {device};
  }
  std::span<const KernelEntry> kernels(const DeviceDesc&) override { return k_kernels; }

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
#ifdef WRONG_UNPACK
    dst[0] ^= std::byte{1};
#endif
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

[[maybe_unused]] scf_status* wrong_open(const scf_host* host, const scf_kv* pairs, std::uint32_t count,
                                        scf_instance** out) {
#ifdef WRONG_STDOUT
  std::printf("subject 1.0: hello\n");
#endif
#ifdef WRONG_THREAD
  std::thread([] { ::sleep(1000); }).detach();
#endif
#ifdef WRONG_FILE
  if (::open("/dev/null", O_RDONLY) < 0) std::abort();
#endif
#ifdef WRONG_MEMORY
  static void* volatile lost;
  lost = std::malloc(1000);
  if (lost == nullptr) std::abort();
#endif
#ifdef WRONG_SIZE
  if (host->h.size != sizeof(scf_host)) return make_status(host, SCF_INCOMPATIBLE, "the host is not mine");
#endif
  return right_open(host, pairs, count, out);
}

[[maybe_unused]] scf_status* wrong_close(scf_instance* instance) {
  *reinterpret_cast<volatile int*>(std::uintptr_t{64}) = 1;
  return tables::close(instance);
}

[[maybe_unused]] scf_status* wrong_alloc(scf_device* device, std::uint32_t heap, std::uint64_t bytes,
                                         std::uint64_t align, scf_buffer** out) {
  constexpr std::uint64_t k_much = 1ull << 40;
  return tables::buffer_alloc(device, heap, bytes > k_much ? 64 : bytes, align, out);
}

[[maybe_unused]] scf_status* wrong_submit(scf_queue* queue, scf_exec* exec, const scf_submit* step) {
#ifdef WRONG_THROW
  throw std::runtime_error("the queue fell over");
#endif
#ifdef WRONG_HANG
  for (std::uint64_t i = 0; i < step->n_dims; ++i)
    while (step->dims[i].value == 33) ::sleep(1);
#endif
#ifdef WRONG_SIGNAL
  scf_submit alone = read_struct(step);
  alone.n_signals = 0;
  if (scf_status* status = tables::submit(queue, exec, &alone)) return status;
  for (std::uint64_t i = 0; i < step->n_signals; ++i)
    if (scf_status* status = tables::sema_signal(step->signals[i].sema, step->signals[i].value)) return status;
  return nullptr;
#else
  return tables::submit(queue, exec, step);
#endif
}

[[maybe_unused]] scf_status* wrong_device_open(scf_instance* instance, scf_str id, const scf_kv* pairs,
                                               std::uint32_t count, scf_device** out) {
  static scf_device* only = nullptr;
  if (only == nullptr) {
    if (scf_status* status = tables::device_open(instance, id, pairs, count, out)) return status;
    only = *out;
  }
  *out = only;
  return nullptr;
}

[[maybe_unused]] void wrong_free(scf_buffer* buffer) {
  if (buffer == nullptr) std::abort();
  tables::buffer_free(buffer);
}

/// Leaves out what a timeline would refuse.
[[maybe_unused]] scf_status* lenient_submit(scf_queue* queue, scf_exec* exec, const scf_submit* step) {
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
  scf_plugin_api api = tables::k_api<Subject>;
#if defined(WRONG_STDOUT) || defined(WRONG_THREAD) || defined(WRONG_FILE) || defined(WRONG_MEMORY) ||                  \
    defined(WRONG_SIZE)
  api.open = wrong_open;
#endif
#ifdef WRONG_CLOSE
  api.close = wrong_close;
#endif
#ifdef WRONG_ALLOC
  static scf_memory_api memory = tables::k_memory;
  memory.alloc = wrong_alloc;
  api.memory = &memory;
#endif
#if defined(WRONG_THROW) || defined(WRONG_HANG) || defined(WRONG_SIGNAL)
  static scf_queue_api queue = tables::k_queue;
  queue.submit = wrong_submit;
  api.queue = &queue;
#endif
#ifdef WRONG_TWICE
  api.device_open = wrong_device_open;
#endif
#ifdef WRONG_NULL
  static scf_memory_api memory = tables::k_memory;
  memory.free = wrong_free;
  api.memory = &memory;
#endif
#ifdef WRONG_VALUE
  static scf_queue_api queue = tables::k_queue;
  queue.submit = lenient_submit;
  api.queue = &queue;
#endif
#ifdef RIGHT_STAGED
  static scf_memory_api memory = tables::k_memory;
  memory.import_host = nullptr;
  api.memory = &memory;
#endif
#ifdef RIGHT_ASYNC
  api.queue = &async::k_queue;
#endif
  return api;
}

} // namespace

extern "C" SCF_EXPORT std::uint32_t scf_plugin_query_v1(const scf_host* host, const scf_plugin** out) {
#ifdef WRONG_QUERY
  setenv("SUBJECT_WAS_HERE", "1", 1);
#endif
  static const scf_plugin_api api = make_api();
  static const scf_plugin plugin = [] {
    scf_plugin made = tables::k_plugin<Subject>;
    made.api = &api;
    return made;
  }();
  *out = &plugin;
  return host->minor_min <= SCF_ABI_MINOR && SCF_ABI_MINOR <= host->minor_max ? SCF_OK : SCF_INCOMPATIBLE;
}
