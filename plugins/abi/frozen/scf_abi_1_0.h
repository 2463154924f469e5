/* Sea Cliff plugin ABI, version 1.0.
 *
 * Standalone C11; includes <stdint.h> only. A plugin is a shared object that exports exactly one symbol,
 * scf_plugin_query_v1. Everything else travels through the tables below. RULES.md numbers the rules that both sides
 * keep (E evolution, O ownership, M memory, T threads, ...); CHANGELOG.md says why each piece is as it is.
 *
 * Reading guide: `// out` marks results; [MT] marks entries that may be called from several threads at once; every
 * other entry is called by one thread at a time per object. Borrowed pointers live for the call unless said otherwise.
 * An entry marked [optional] may be NULL: the comment says what the host does then. Every entry that lets something go
 * (*_free, free, device_close, close) takes NULL and does nothing.
 */
#ifndef SCF_ABI_H
#define SCF_ABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SCF_ABI_MAJOR 1u  /* in the name of the entry symbol */
#define SCF_ABI_MINOR 10u /* counts on across 1.0: 9 was 0.9, 10 is 1.0, 11 will be 1.1 */

#if defined(_WIN32)
#define SCF_EXPORT __declspec(dllexport)
#else
#define SCF_EXPORT __attribute__((visibility("default")))
#endif

/* ---- small frozen structs (E7: no header, never grow) --------------------------------------------------------- */

typedef struct scf_str { /* not NUL-terminated */
  const char* ptr;
  uint64_t len;
} scf_str;

typedef struct scf_hdr {      /* E2: first member of every growable struct */
  uint32_t size;              /* E3: bytes the writer knows of this struct */
  uint32_t kind;              /* one of SCF_KIND_* */
  const struct scf_hdr* next; /* E9: chain of extensions, unknown kinds are skipped */
} scf_hdr;

enum { SCF_KV_INT = 1u, SCF_KV_FLOAT = 2u, SCF_KV_STR = 3u };

typedef struct scf_kv {
  scf_str key;
  uint32_t type; /* SCF_KV_* */
  uint32_t reserved;
  union {
    int64_t i;
    double f;
    scf_str s;
  } v;
} scf_kv;

typedef struct scf_status scf_status; /* host-allocated error; NULL means OK. Freed by the side that receives it. */
typedef struct scf_instance scf_instance;
typedef struct scf_device scf_device;
typedef struct scf_buffer scf_buffer;
typedef struct scf_program scf_program;
typedef struct scf_exec scf_exec;
typedef struct scf_queue scf_queue;
typedef struct scf_sema scf_sema;

typedef struct scf_worker { /* one member of the host's worker team, inside team_run */
  uint32_t index, count;    /* 0 <= index < count */
  void* team;               /* the host's */
} scf_worker;

typedef struct scf_slice {
  scf_buffer* buf;
  uint64_t offset, bytes;
} scf_slice;

typedef struct scf_wait { /* also used for signals */
  scf_sema* sema;
  uint64_t value;
} scf_wait;

typedef struct scf_need { /* memory that a program wants beside its values */
  uint32_t heap, reserved;
  uint64_t bytes, align; /* a power of two, 0: the heap's bind_align */
} scf_need;

typedef struct scf_dim { /* a symbol and the value it has in this submit */
  uint32_t sym;
  uint32_t reserved;
  int64_t value;
} scf_dim;

/* ---- codes ---------------------------------------------------------------------------------------------------- */

enum { /* E10: explicit, append only */
       SCF_OK = 0u,
       SCF_CANCELLED = 1u,
       SCF_UNKNOWN = 2u,
       SCF_INVALID_ARGUMENT = 3u,
       SCF_DEADLINE_EXCEEDED = 4u,
       SCF_NOT_FOUND = 5u,
       SCF_ALREADY_EXISTS = 6u,
       SCF_PERMISSION_DENIED = 7u,
       SCF_RESOURCE_EXHAUSTED = 8u,
       SCF_FAILED_PRECONDITION = 9u,
       SCF_ABORTED = 10u,
       SCF_OUT_OF_RANGE = 11u,
       SCF_UNIMPLEMENTED = 12u,
       SCF_INTERNAL = 13u,
       SCF_UNAVAILABLE = 14u,
       SCF_DATA_LOSS = 15u,
       SCF_UNAUTHENTICATED = 16u,
       SCF_DEVICE_LOST = 17u,
       SCF_INCOMPATIBLE = 18u,
       SCF_DOES_NOT_FIT = 19u
};

enum {
  SCF_KIND_HOST = 1u,
  SCF_KIND_PLUGIN = 2u,
  SCF_KIND_PLUGIN_API = 3u,
  SCF_KIND_MEMORY_API = 4u,
  SCF_KIND_LAYOUT_API = 5u,
  SCF_KIND_PROGRAM_API = 6u,
  SCF_KIND_QUEUE_API = 7u,
  SCF_KIND_PROFILE_API = 8u,
  SCF_KIND_DEVICE_DESC = 9u,
  SCF_KIND_HEAP_DESC = 10u,
  SCF_KIND_GRAPH_VIEW = 11u,
  SCF_KIND_CLAIM = 12u,
  SCF_KIND_REQUIREMENTS = 13u,
  SCF_KIND_BINDINGS = 14u,
  SCF_KIND_SUBMIT = 15u,
  SCF_KIND_LAYOUT_DESC = 16u,
  SCF_KIND_PROFILE_RECORD = 17u
};

enum { SCF_LOG_ERROR = 1u, SCF_LOG_WARN = 2u, SCF_LOG_INFO = 3u, SCF_LOG_DEBUG = 4u, SCF_LOG_TRACE = 5u };

enum { SCF_BUILD_ASAN = 1u, SCF_BUILD_TSAN = 2u, SCF_BUILD_DEBUG = 4u }; /* bits of build_flags */

enum { SCF_DEVICE_CPU = 1u, SCF_DEVICE_GPU = 2u, SCF_DEVICE_IGPU = 3u, SCF_DEVICE_ACCEL = 4u };
enum { /* bits of scf_device_desc.flags */
       SCF_DEVICE_USABLE = 1u,
       SCF_DEVICE_SOFTWARE = 2u,       /* a driver that runs on the CPU: `auto` never picks it */
       SCF_DEVICE_UNIFIED_MEMORY = 4u, /* host pointers are as good as the device's own memory */
       SCF_DEVICE_TIMESTAMPS = 8u,
       SCF_DEVICE_LAST_RESORT = 16u, /* slow and complete: it gets only what nothing else claims */
       SCF_DEVICE_ASYNC = 32u        /* submit and copy return at once, whatever they wait for (T3) */
};

enum { SCF_HEAP_HOST = 1u, SCF_HEAP_DEVICE_LOCAL = 2u };
enum { SCF_HEAP_MAPPABLE = 1u, SCF_HEAP_COHERENT = 2u }; /* bits of scf_heap_desc.flags */
enum { SCF_IMPORT_HOST_POINTER = 1u };                   /* bits of scf_heap_desc.import_kinds */
enum { SCF_BUFFER_READ_ONLY = 1u }; /* flags of import_host: the device only reads it, the pages may be protected */

/* Element and block formats. The numbers are those of GGUF, an external and append-only list; 0x1000 and up are ours.
 * A plugin that meets a number it does not know declines the node. */
enum {
  SCF_DTYPE_F32 = 0u,
  SCF_DTYPE_F16 = 1u,
  SCF_DTYPE_Q8_0 = 8u,
  SCF_DTYPE_Q2_K = 10u,
  SCF_DTYPE_Q3_K = 11u,
  SCF_DTYPE_Q4_K = 12u,
  SCF_DTYPE_Q5_K = 13u,
  SCF_DTYPE_Q6_K = 14u,
  SCF_DTYPE_IQ2_XXS = 16u,
  SCF_DTYPE_I32 = 26u,
  SCF_DTYPE_BF16 = 30u,
  SCF_DTYPE_MXFP4 = 39u
};

enum { SCF_ROLE_INPUT = 1u, SCF_ROLE_OUTPUT = 2u, SCF_ROLE_WEIGHT = 3u, SCF_ROLE_STATE = 4u, SCF_ROLE_TEMP = 5u };
enum { SCF_CLAIM_NO = 0u, SCF_CLAIM_SLOW = 1u, SCF_CLAIM_OK = 2u, SCF_CLAIM_PREFERRED = 3u };

#define SCF_NONE 0xffffffffu /* an absent optional operand in scf_node.in */
#define SCF_MAX_RANK 6u

/* ---- host services -------------------------------------------------------------------------------------------- */

typedef struct scf_host { /* valid until close() returns */
  scf_hdr h;
  uint32_t minor_min, minor_max; /* the minors this host can serve */
  uint64_t build_flags;
  void* ctx; /* first argument of every entry below */
  scf_status* (*status)(void* ctx, uint32_t code, scf_str message, const scf_kv* kv, uint32_t n_kv); /* [MT] */
  void (*status_free)(void* ctx, scf_status* status);                                                /* [MT] */
  uint32_t (*status_code)(void* ctx, const scf_status* status);                                      /* [MT] */
  scf_str (*status_message)(void* ctx, const scf_status* status);             /* [MT] lives as long as the status */
  scf_status* (*status_clone)(void* ctx, const scf_status* status);           /* [MT] one failure, many waiters */
  void (*log)(void* ctx, uint32_t level, scf_str component, scf_str message); /* [MT] */
  const uint32_t* log_level; /* relaxed read: skip formatting above it */
  uint32_t (*op_id)(void* ctx, scf_str domain, scf_str name, uint32_t version); /* [MT] 0: unknown to this host */
  scf_str (*op_name)(void* ctx, uint32_t op_id); /* [MT] "scf.matmul", for reasons; empty: no such id. Static. */
  /* Runs fn on every worker of the team bound to `node_mask` (0: all nodes), the caller being worker 0; returns when
   * all have returned. Not reentrant. */
  scf_status* (*team_run)(void* ctx, uint64_t node_mask, void (*fn)(void* arg, scf_worker* worker), void* arg);
  void (*team_barrier)(scf_worker* worker); /* all workers of the running team meet here */
  uint32_t (*team_size)(void* ctx, uint64_t node_mask);
  const void* (*get_ext)(void* ctx, scf_str name, uint32_t version); /* [MT] NULL: not offered */
} scf_host;

/* ---- devices and heaps ---------------------------------------------------------------------------------------- */

/* Values of a program are bound from the device's first heap, or from imports; other heaps carry bytes on their way and
 * what a program asks of them in its needs (M6). */
typedef struct scf_heap_desc {
  scf_hdr h;
  uint32_t id, kind;     /* SCF_HEAP_HOST: the machine's memory; SCF_HEAP_DEVICE_LOCAL: the device's, or near it */
  uint64_t total;        /* bytes, like all of these; 0: no limit known */
  uint64_t budget;       /* what this process may use; memory->budget says it anew */
  uint64_t max_alloc;    /* the largest buffer, allocated or imported */
  uint64_t max_binding;  /* the largest slice bound as one value; 0 where the device addresses memory by pointers */
  uint64_t bind_align;   /* slices that are bound begin at multiples of it; a power of two, 0: 1 */
  uint64_t import_kinds; /* SCF_IMPORT_*: what import_host takes for this heap */
  uint64_t import_align; /* of pointer and length of an import; a power of two, 0: 1 */
  uint32_t flags;
  int32_t numa_node; /* -1: not bound to one */
  double read_gbps;  /* hint, 0: unknown */
} scf_heap_desc;

typedef struct scf_device_desc {
  scf_hdr h;
  scf_str id;   /* stable across runs: "cpu:0", "pci:0000:c1:00.0", "uuid:...", "sw:lavapipe" */
  scf_str name; /* for people */
  scf_str driver;
  scf_str reason_unusable; /* empty when SCF_DEVICE_USABLE is set */
  uint8_t phys_uuid[16];   /* zero: unknown. Equal for two views of the same silicon. */
  uint32_t kind;
  uint32_t flags;
  int32_t numa_node;
  uint32_t n_heaps;
  const scf_heap_desc* const* heaps; /* E11: pointers, because scf_heap_desc grows */
  scf_str detail;                    /* one line for `seacliff backends`: instruction sets, driver features */
} scf_device_desc;

/* ---- graphs as plugins see them ------------------------------------------------------------------------------- */

typedef struct scf_value { /* read with scf_graph_view.value_stride */
  uint32_t id, dtype, rank, role;
  int64_t dims[SCF_MAX_RANK];     /* row-major, outermost first; the maximum where dim_sym is set */
  uint32_t dim_sym[SCF_MAX_RANK]; /* 0: constant; else the symbol whose value each submit binds */
  scf_str name;
  uint32_t layout; /* 0: the file's bytes, rows one after another */
  uint32_t reserved;
} scf_value;

typedef struct scf_node { /* read with scf_graph_view.node_stride */
  uint32_t id;
  uint32_t op; /* from scf_host.op_id */
  uint32_t n_in, n_out, n_attr;
  uint32_t src_loc;         /* line of the builder that made it, for people */
  const uint32_t *in, *out; /* value ids; SCF_NONE for an absent optional input. A STATE that the node updates stands
                               in both lists. */
  const scf_kv* attr;
  scf_str name; /* stable path: "blk.07.ffn.experts" */
} scf_node;

/* Nodes are in program order; a node that reads a STATE sees every earlier write. Valid during the call only. */
typedef struct scf_graph_view {
  scf_hdr h;
  uint32_t n_values, value_stride; /* value ids index this array */
  uint32_t n_nodes, node_stride;
  const scf_value* values;
  const scf_node* nodes;
} scf_graph_view;

typedef struct scf_claim { /* plugin -> sink, one per node or fused group */
  scf_hdr h;
  const uint32_t* nodes;   /* node ids */
  uint32_t n_nodes, level; /* SCF_CLAIM_* */
  scf_str pattern;         /* name of the fused pattern, empty for a single node */
  scf_str reason;          /* filled for NO: shown to the user verbatim */
  double est_us;           /* 0: unknown */
} scf_claim;

typedef struct scf_requirements { /* out: the host sets h.size to what it has room for */
  scf_hdr h;
  const scf_need* needs; /* the program's, for as long as it lives */
  uint64_t n_needs;
  uint64_t launches, barriers; /* per submit, for people: kernel or team launches, full barriers; 0: unknown */
} scf_requirements;

typedef struct scf_binding { /* frozen */
  uint32_t value, reserved;
  scf_slice slice;
} scf_binding;

typedef struct scf_bindings {
  scf_hdr h;
  const scf_binding* items; /* every WEIGHT and STATE of the segment; must outlive the exec */
  uint64_t n_items;
  const scf_slice* needs; /* one per scf_need, in its order; programs that never run at once may be given the same */
  uint64_t n_needs;
} scf_bindings;

typedef struct scf_submit {
  scf_hdr h;
  const scf_dim* dims;
  uint64_t n_dims;
  const scf_binding* io; /* every INPUT and OUTPUT of the segment; the same slices from step to step, as a rule (T8) */
  uint64_t n_io;
  const scf_wait* waits;
  uint64_t n_waits;
  const scf_wait* signals;
  uint64_t n_signals;
} scf_submit;

/* ---- plugin tables -------------------------------------------------------------------------------------------- */

typedef struct scf_memory_api {
  scf_hdr h;
  /* `align`: of the address that the device sees, a power of two, 0: the heap's bind_align. */
  scf_status* (*alloc)(scf_device*, uint32_t heap, uint64_t bytes, uint64_t align, scf_buffer** out);
  void (*free)(scf_buffer*);
  /* Wraps host pages as memory of `heap`, without a copy; the pages outlive the buffer. Pointer and length are
   * multiples of the heap's import_align. [optional] the host allocates and copies, as it does when this fails. */
  scf_status* (*import_host)(scf_device*, uint32_t heap, void* ptr, uint64_t bytes, uint32_t flags, scf_buffer** out);
  /* The host address of a mappable buffer, valid until unmap; at offset 0 aligned to 64 at least, or to what alloc was
   * asked if that is less. One map of a buffer at a time; the device may use it meanwhile. [optional] queue->copy. */
  scf_status* (*map)(scf_buffer*, uint64_t offset, uint64_t bytes, void** out);
  scf_status* (*unmap)(scf_buffer*);
  /* Any range of the buffer: the plugin widens it to what its memory asks. [optional] coherent memory */
  scf_status* (*flush)(scf_buffer*, uint64_t offset, uint64_t bytes);
  scf_status* (*invalidate)(scf_buffer*, uint64_t offset, uint64_t bytes);
  scf_status* (*budget)(scf_device*, uint32_t heap, uint64_t* free_bytes); /* [optional] the descriptor's budget */
} scf_memory_api;

typedef struct scf_layout_desc {
  scf_hdr h;
  scf_str name; /* "cpu.q8_0.r8/1": plugin, format, tile, version; part of cache keys */
  uint32_t id, flags;
  uint64_t bytes, align;
  uint64_t row_granularity; /* rows that a slice must be a multiple of */
} scf_layout_desc;

typedef struct scf_layout_api { /* [optional] weights stay in layout 0 */
  scf_hdr h;
  /* Better layouts for one weight (dims as in scf_value), best first. Pure. [MT] */
  scf_status* (*candidates)(scf_device*, const scf_value* weight, void (*sink)(void*, const scf_layout_desc*),
                            void* user);
  /* Rows [row_begin, row_end) of a weight from layout 0 and back; the rows of all dims but the last are counted
   * through. `src` and `dst` are where the slice begins: rows of a weight of R rows lie at bytes * row / R of its
   * layout. Slices begin and end at multiples of row_granularity, or at the end of the weight. Pure. [MT] */
  scf_status* (*repack)(scf_device*, const scf_value* weight, uint32_t layout, uint64_t row_begin, uint64_t row_end,
                        const void* src, void* dst);
  scf_status* (*unpack)(scf_device*, const scf_value* weight, uint32_t layout, uint64_t row_begin, uint64_t row_end,
                        const void* src, void* dst);
} scf_layout_api;

typedef struct scf_program_api {
  scf_hdr h;
  /* One claim per node or fused group, to the sink. A pure function of node and device. [MT] */
  scf_status* (*propose)(scf_device*, const scf_graph_view*, void (*sink)(void*, const scf_claim*), void* user);
  /* A segment whose nodes were all claimed. UNIMPLEMENTED with key "node" strikes that node. */
  scf_status* (*compile)(scf_device*, const scf_graph_view*, const scf_kv* opts, uint32_t n_opts, scf_program** out);
  scf_status* (*requirements)(scf_program*, scf_requirements* out);
  scf_status* (*instantiate)(scf_program*, const scf_bindings*, scf_exec** out);
  void (*exec_free)(scf_exec*);
  void (*program_free)(scf_program*);
} scf_program_api;

/* Timeline semaphores: a value that only grows, by less than 2^31 at a time, or a failure that every waiter receives
 * with its first cause. A wait that is met makes all memory written before the signal visible; mapped memory that is
 * not coherent wants invalidate as well. There is no entry that waits for idle: wait for the last value submitted. */
typedef struct scf_queue_api {
  scf_hdr h;
  scf_status* (*queue_create)(scf_device*, scf_queue** out);
  void (*queue_free)(scf_queue*); /* waits for what was submitted */
  scf_status* (*sema_create)(scf_device*, uint64_t initial, scf_sema** out);
  void (*sema_free)(scf_sema*);
  scf_status* (*sema_query)(scf_sema*, uint64_t* value);                    /* [MT] */
  scf_status* (*sema_wait)(scf_sema*, uint64_t value, uint64_t timeout_ns); /* [MT] DEADLINE_EXCEEDED */
  scf_status* (*sema_signal)(scf_sema*, uint64_t value); /* [MT] from the host; not larger: INVALID_ARGUMENT, no harm */
  void (*sema_fail)(scf_sema*, scf_status* cause);       /* [MT] takes `cause` */
  /* Waits, runs, signals. What fails on the way fails the signals; an error returned has failed them already. A signal
   * that is not larger than the value reached fails its timeline with INVALID_ARGUMENT. */
  scf_status* (*submit)(scf_queue*, scf_exec*, const scf_submit*);
  /* Between buffers of this device, whatever their heaps; the slices do not overlap. In order with the submits of the
   * queue. [optional] the host maps both sides and copies itself. */
  scf_status* (*copy)(scf_queue*, scf_slice dst, scf_slice src, const scf_submit*);
} scf_queue_api;

enum { SCF_PROFILE_OFF = 0u, SCF_PROFILE_PROGRAM = 1u, SCF_PROFILE_GROUP = 2u, SCF_PROFILE_NODE = 3u };

typedef struct scf_profile_record {
  scf_hdr h;
  uint32_t first_node, n_nodes; /* node ids of the segment */
  uint32_t worker, flags;
  uint64_t t0, t1; /* device ticks */
  uint64_t bytes;  /* 0: unknown */
} scf_profile_record;

typedef struct scf_profile_api { /* [optional] the host times whole submits */
  scf_hdr h;
  scf_status* (*begin)(scf_device*, uint32_t granularity);
  /* `lost` counts since begin(). An exec is drained before it is freed. */
  scf_status* (*drain)(scf_device*, void (*sink)(void*, scf_exec*, const scf_profile_record*), void* user,
                       uint64_t* lost);
  /* The same moment on both clocks; the host's is CLOCK_MONOTONIC. `ns_per_tick` is nominal: the host asks at begin and
   * at drain, while nothing runs, and takes the rate between them. Ticks have 64 bits and never wrap. */
  scf_status* (*correlate)(scf_device*, uint64_t* device_ticks, uint64_t* host_ns, double* ns_per_tick);
  scf_status* (*end)(scf_device*);
} scf_profile_api;

typedef struct scf_plugin_api {
  scf_hdr h;
  /* An option key the plugin does not know is INVALID_ARGUMENT. */
  scf_status* (*open)(const scf_host*, const scf_kv* opts, uint32_t n_opts, scf_instance** out);
  scf_status* (*close)(scf_instance*); /* joins threads, frees everything; dlclose is legal afterwards */
  /* Every device the plugin can see, the unusable ones with their reason. Descriptors live for the sink call. */
  scf_status* (*enumerate)(scf_instance*, void (*sink)(void*, const scf_device_desc*), void* user);
  /* A device may be open more than once: each handle is on its own, its objects are not used with another's. */
  scf_status* (*device_open)(scf_instance*, scf_str id, const scf_kv* opts, uint32_t n_opts, scf_device** out);
  scf_status* (*device_close)(scf_device*);
  const scf_memory_api* memory;
  const scf_layout_api* layout; /* [optional] */
  const scf_program_api* program;
  const scf_queue_api* queue;
  const scf_profile_api* profile;                                        /* [optional] */
  const void* (*get_ext)(scf_instance*, scf_str name, uint32_t version); /* [optional] */
} scf_plugin_api;

typedef struct scf_plugin { /* static storage of the plugin */
  scf_hdr h;
  uint32_t minor; /* the minor this plugin speaks, within the host's range */
  uint32_t reserved;
  uint64_t build_flags;
  scf_str name, vendor, version, build_id;
  const scf_plugin_api* api;
} scf_plugin;

/* The only exported symbol. Pure: no threads, no driver calls, no environment reads; callable many times from any
 * thread. Returns SCF_OK, or SCF_INCOMPATIBLE when the host's minor range does not hold the plugin's; `*out` is set in
 * both cases so that the loader can print both ranges. */
SCF_EXPORT uint32_t scf_plugin_query_v1(const scf_host* host, const scf_plugin** out);
typedef uint32_t (*scf_plugin_query_fn)(const scf_host* host, const scf_plugin** out);

#ifdef __cplusplus
}
#endif
#endif /* SCF_ABI_H */
