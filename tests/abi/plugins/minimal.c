/* The smallest plugin that a host can load, in C11: one device, no kernels. Wrong ones are made from it by switches:
 *   MINIMAL_NAME, MINIMAL_VERSION  what it calls itself
 *   MINIMAL_MINOR                  the ABI it says it speaks
 *   MINIMAL_FLAGS                  its build flags
 *   MINIMAL_HEADER                 the header it is built against, a frozen one
 *   MINIMAL_NO_SUBMIT              a required entry is missing
 *   MINIMAL_NO_QUEUE               a required table is missing
 *   MINIMAL_NO_ANSWER              the query returns no description
 *   MINIMAL_OPEN_FAILS             open() returns an error
 *   MINIMAL_UNUSABLE               its only device cannot be used
 * To add a wrong plugin: a switch here, a line in ../CMakeLists.txt, a case in ../wrong_plugins_test.cpp. */
#ifdef MINIMAL_HEADER
#include MINIMAL_HEADER
#else
#include <seacliff/abi/scf_abi.h>
#endif

#ifndef MINIMAL_NAME
#define MINIMAL_NAME "minimal"
#endif
#ifndef MINIMAL_VERSION
#define MINIMAL_VERSION "1.0.0"
#endif
#ifndef MINIMAL_MINOR
#define MINIMAL_MINOR SCF_ABI_MINOR
#endif
#ifndef MINIMAL_FLAGS
#if defined(__SANITIZE_ADDRESS__)
#define MINIMAL_FLAGS SCF_BUILD_ASAN
#elif defined(__SANITIZE_THREAD__)
#define MINIMAL_FLAGS SCF_BUILD_TSAN
#else
#define MINIMAL_FLAGS 0
#endif
#endif

#define STR(literal)                                                                                                   \
  { literal, sizeof(literal) - 1 }

struct scf_instance {
  const scf_host* host;
};

static struct scf_instance g_instance;

static scf_status* nothing_here(uint32_t code) {
  const scf_str message = STR("this plugin computes nothing");
  return g_instance.host->status(g_instance.host->ctx, code, message, 0, 0);
}

static scf_status* plugin_open(const scf_host* host, const scf_kv* opts, uint32_t n_opts, scf_instance** out) {
  (void)opts;
  g_instance.host = host;
#ifdef MINIMAL_OPEN_FAILS
  (void)n_opts;
  (void)out;
  const scf_str message = STR("the driver is not running");
  return host->status(host->ctx, SCF_UNAVAILABLE, message, 0, 0);
#else
  if (n_opts != 0) {
    const scf_str message = STR("there are no options");
    return host->status(host->ctx, SCF_INVALID_ARGUMENT, message, 0, 0);
  }
  *out = &g_instance;
  return 0;
#endif
}

static scf_status* plugin_close(scf_instance* instance) {
  (void)instance;
  return 0;
}

static scf_status* plugin_enumerate(scf_instance* instance, void (*sink)(void*, const scf_device_desc*), void* user) {
  (void)instance;
  static const scf_device_desc device = {.h = {sizeof(scf_device_desc), SCF_KIND_DEVICE_DESC, 0},
                                         .id = STR("minimal:0"),
                                         .name = STR("nothing"),
#ifdef MINIMAL_UNUSABLE
                                         .reason_unusable = STR("its firmware is too old"),
#else
                                         .flags = SCF_DEVICE_USABLE,
#endif
                                         .kind = SCF_DEVICE_ACCEL,
                                         .numa_node = -1};
  sink(user, &device);
  return 0;
}

static scf_status* device_open(scf_instance* instance, scf_str id, const scf_kv* opts, uint32_t n, scf_device** out) {
  (void)instance, (void)id, (void)opts, (void)n, (void)out;
  return nothing_here(SCF_UNIMPLEMENTED);
}
static scf_status* device_close(scf_device* device) { return (void)device, nothing_here(SCF_UNIMPLEMENTED); }

static scf_status* mem_alloc(scf_device* device, uint32_t heap, uint64_t bytes, uint64_t align, scf_buffer** out) {
  (void)device, (void)heap, (void)bytes, (void)align, (void)out;
  return nothing_here(SCF_UNIMPLEMENTED);
}
static void mem_free(scf_buffer* buffer) { (void)buffer; }

static scf_status* propose(scf_device* device, const scf_graph_view* view, void (*sink)(void*, const scf_claim*),
                           void* user) {
  (void)device, (void)view, (void)sink, (void)user;
  return 0;
}
static scf_status* compile(scf_device* device, const scf_graph_view* view, const scf_kv* opts, uint32_t n,
                           scf_program** out) {
  (void)device, (void)view, (void)opts, (void)n, (void)out;
  return nothing_here(SCF_UNIMPLEMENTED);
}
static scf_status* requirements(scf_program* program, scf_requirements* out) {
  (void)program, (void)out;
  return nothing_here(SCF_UNIMPLEMENTED);
}
static scf_status* instantiate(scf_program* program, const scf_bindings* bindings, scf_exec** out) {
  (void)program, (void)bindings, (void)out;
  return nothing_here(SCF_UNIMPLEMENTED);
}
static void exec_free(scf_exec* exec) { (void)exec; }
static void program_free(scf_program* program) { (void)program; }

static scf_status* queue_create(scf_device* device, scf_queue** out) {
  (void)device, (void)out;
  return nothing_here(SCF_UNIMPLEMENTED);
}
static void queue_free(scf_queue* queue) { (void)queue; }
static scf_status* sema_create(scf_device* device, uint64_t initial, scf_sema** out) {
  (void)device, (void)initial, (void)out;
  return nothing_here(SCF_UNIMPLEMENTED);
}
static void sema_free(scf_sema* sema) { (void)sema; }
static scf_status* sema_query(scf_sema* sema, uint64_t* value) {
  (void)sema, (void)value;
  return nothing_here(SCF_UNIMPLEMENTED);
}
static scf_status* sema_wait(scf_sema* sema, uint64_t value, uint64_t timeout_ns) {
  (void)sema, (void)value, (void)timeout_ns;
  return nothing_here(SCF_UNIMPLEMENTED);
}
static scf_status* sema_signal(scf_sema* sema, uint64_t value) {
  (void)sema, (void)value;
  return nothing_here(SCF_UNIMPLEMENTED);
}
static void sema_fail(scf_sema* sema, scf_status* cause) {
  (void)sema;
  g_instance.host->status_free(g_instance.host->ctx, cause);
}
#ifdef MINIMAL_NO_SUBMIT
#define SUBMIT 0
#else
static scf_status* submit(scf_queue* queue, scf_exec* exec, const scf_submit* step) {
  (void)queue, (void)exec, (void)step;
  return nothing_here(SCF_UNIMPLEMENTED);
}
#define SUBMIT submit
#endif

static const scf_memory_api g_memory = {
    .h = {sizeof(scf_memory_api), SCF_KIND_MEMORY_API, 0}, .alloc = mem_alloc, .free = mem_free};
static const scf_program_api g_program = {.h = {sizeof(scf_program_api), SCF_KIND_PROGRAM_API, 0},
                                          .propose = propose,
                                          .compile = compile,
                                          .requirements = requirements,
                                          .instantiate = instantiate,
                                          .exec_free = exec_free,
                                          .program_free = program_free};
#ifndef MINIMAL_NO_QUEUE
static
#endif
    const scf_queue_api g_queue = {.h = {sizeof(scf_queue_api), SCF_KIND_QUEUE_API, 0},
                                   .queue_create = queue_create,
                                   .queue_free = queue_free,
                                   .sema_create = sema_create,
                                   .sema_free = sema_free,
                                   .sema_query = sema_query,
                                   .sema_wait = sema_wait,
                                   .sema_signal = sema_signal,
                                   .sema_fail = sema_fail,
                                   .submit = SUBMIT};
static const scf_plugin_api g_api = {.h = {sizeof(scf_plugin_api), SCF_KIND_PLUGIN_API, 0},
                                     .open = plugin_open,
                                     .close = plugin_close,
                                     .enumerate = plugin_enumerate,
                                     .device_open = device_open,
                                     .device_close = device_close,
                                     .memory = &g_memory,
                                     .program = &g_program,
#ifndef MINIMAL_NO_QUEUE
                                     .queue = &g_queue
#endif
};
static const scf_plugin g_plugin = {.h = {sizeof(scf_plugin), SCF_KIND_PLUGIN, 0},
                                    .minor = MINIMAL_MINOR,
                                    .build_flags = MINIMAL_FLAGS,
                                    .name = STR(MINIMAL_NAME),
                                    .vendor = STR("Sea Cliff tests"),
                                    .version = STR(MINIMAL_VERSION),
                                    .api = &g_api};

SCF_EXPORT uint32_t scf_plugin_query_v1(const scf_host* host, const scf_plugin** out) {
#ifdef MINIMAL_NO_ANSWER
  (void)host, (void)out, (void)g_plugin;
  return SCF_OK;
#else
  *out = &g_plugin;
  return host->minor_min <= MINIMAL_MINOR && MINIMAL_MINOR <= host->minor_max ? SCF_OK : SCF_INCOMPATIBLE;
#endif
}
