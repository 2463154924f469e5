// L0: time travel. Hosts that know less or more than this header: structs end at memory that may not be read, or go on
// with rubbish behind what the plugin knows (rules E2-E5, E9, E11).
#include "plugins/conformance/context.hpp"
#include "plugins/conformance/levels.hpp"
#include "plugins/conformance/raw_plugin.hpp"
#include "plugins/conformance/workbench.hpp"
#include "plugins/loader/tables.hpp"

#include "ops/cases/tolerance.hpp"
#include "ops/reference/kernels.hpp"

#include <cstddef>
#include <cstring>

namespace seacliff::conform {
namespace {

using plugins::HostServices;

constexpr std::uint64_t k_larger[] = {8, 200, 5000}; // bytes that a newer header may have appended

// ---- hosts ---------------------------------------------------------------------------------------------------------

/// What an older host may lack: everything behind the services that errors need.
constexpr struct {
  std::uint64_t size;
  const char* until;
} k_older_hosts[] = {{offsetof(scf_host, op_id), "op_id"},         {offsetof(scf_host, op_name), "op_name"},
                     {offsetof(scf_host, team_run), "team_run"},   {offsetof(scf_host, team_barrier), "team_barrier"},
                     {offsetof(scf_host, team_size), "team_size"}, {offsetof(scf_host, get_ext), "get_ext"}};

/// The query must answer every host, whatever it knows: the range of minors is all it may need.
void query_smallest_host(Trial& trial, Context& context) {
  const HostServices services(nullptr, op_names());
  const Library library(context.settings.library);
  const auto host = aged(*services.table(), offsetof(scf_host, build_flags));
  const scf_plugin* answer = nullptr;
  const std::uint32_t code = library.entry()(host->as<scf_host>(), &answer);
  trial.expect(code == SCF_OK && answer != nullptr, "smaller",
               fmt::format("the query gives code {} to a host that knows no more than its range of minors", code));
}

/// Opens, or says in a status why not. What it may not do is read what is not there.
void open_older_host(Trial& trial, Context& context, std::uint64_t size) {
  const HostServices services(nullptr, op_names());
  const Library library(context.settings.library);
  const scf_plugin plugin = library.query(*services.table());
  const auto host = aged(*services.table(), size);
  try {
    Instance instance(plugin, *host->as<scf_host>(), context.settings.options);
    instance.enumerate();
    instance.close();
  } catch (const Error& error) {
    trial.note(fmt::format("refuses: {}", error.what()));
  }
}

/// A host of this age or newer is served in full, and its table is left alone.
void open_newer_host(Trial& trial, Context& context, std::uint64_t more) {
  const HostServices services(nullptr, op_names());
  const Library library(context.settings.library);
  const auto host = aged(*services.table(), sizeof(scf_host) + more);
  const std::vector<std::byte> before(host->data(), host->data() + host->bytes());
  try {
    const scf_plugin plugin = library.query(*host->as<scf_host>());
    Instance instance(plugin, *host->as<scf_host>(), context.settings.options);
    instance.visit_devices();
    instance.close();
  } catch (const Error& error) {
    trial.fail("larger", fmt::format("a host table of {} bytes more is refused: {}", more, error.what()));
  }
  trial.expect(std::memcmp(before.data(), host->data(), before.size()) == 0, "larger",
               "the plugin wrote into the host's table");
}

void unknown_extension(Trial& trial, Context& context) {
  const HostServices services(nullptr, op_names());
  const Library library(context.settings.library);
  Guarded second(sizeof(scf_hdr)), first(sizeof(scf_hdr));
  *second.as<scf_hdr>() = {sizeof(scf_hdr), 0xfeedu, nullptr};
  *first.as<scf_hdr>() = {sizeof(scf_hdr), 0xbeefu, second.as<scf_hdr>()};
  scf_host host = *services.table();
  host.h.next = first.as<scf_hdr>();
  try {
    Instance instance(library.query(host), host, context.settings.options);
    instance.visit_devices();
    instance.close();
  } catch (const Error& error) {
    trial.fail("extension",
               fmt::format("a host with extensions that the plugin does not know is refused: {}", error.what()));
  }
}

// ---- programs ------------------------------------------------------------------------------------------------------

/// How the structs of a submit are written.
struct Age {
  std::uint64_t more = 0;   // bytes behind every struct with a header
  std::uint32_t stride = 0; // bytes behind every value and node
  bool extended = false;    // unknown `next` kinds
};

/// A graph view with larger elements, rubbish between them.
class AgedView {
public:
  AgedView(const scf_graph_view& plain, const Age& age, const scf_hdr* next)
      : values_(plain.n_values * (plain.value_stride + age.stride)),
        nodes_(plain.n_nodes * (plain.node_stride + age.stride)) {
    spread(values_, plain.values, plain.n_values, plain.value_stride, age.stride);
    spread(nodes_, plain.nodes, plain.n_nodes, plain.node_stride, age.stride);
    scf_graph_view view = plain;
    view.value_stride += age.stride;
    view.node_stride += age.stride;
    view.values = values_.as<scf_value>();
    view.nodes = nodes_.as<scf_node>();
    view.h.next = next;
    view_ = aged(view, sizeof view + age.more);
  }
  const scf_graph_view* get() const { return view_->as<scf_graph_view>(); }

private:
  static void spread(const Guarded& to, const void* from, std::uint32_t count, std::uint32_t stride,
                     std::uint32_t more) {
    std::memset(to.data(), 0xa5, to.bytes());
    for (std::uint64_t i = 0; i < count; ++i)
      std::memcpy(to.data() + i * (stride + more), static_cast<const std::byte*>(from) + i * stride, stride);
  }

  Guarded values_, nodes_;
  std::unique_ptr<Guarded> view_;
};

/// compile to wait by hand, every struct as `age` has it.
void run_aged(Trial& trial, Context& context, const std::string& device_id, const Age& age) {
  const auto device = context.device(device_id);
  const ops::Case* test = claimed_case(*device, *context.host());
  if (test == nullptr) trial.skip("the device claims no case of any op");
  Transfer transfer(device, context.settings.wait_s);
  Workpiece piece(transfer, *context.host(), *test);
  piece.reset();

  Guarded unknown(sizeof(scf_hdr));
  *unknown.as<scf_hdr>() = {sizeof(scf_hdr), 0xfeedu, nullptr};
  const scf_hdr* next = age.extended ? unknown.as<scf_hdr>() : nullptr;
  const plugins::Tables& t = device->tables();
  const AgedView view(piece.view(), age, next);
  scf_program* program = nullptr;
  plugins::check(t.program.compile(device->handle(), view.get(), nullptr, 0, &program), "compile");

  scf_requirements room{};
  room.h = {0, SCF_KIND_REQUIREMENTS, next};
  const auto need = aged(room, sizeof room + age.more);
  plugins::check(t.program.requirements(program, need->as<scf_requirements>()), "requirements");
  const std::byte* behind = need->data() + sizeof room;
  trial.expect(std::all_of(behind, behind + age.more, [](std::byte b) { return b == std::byte{0xa5}; }), "larger",
               "requirements() wrote what it does not know");
  trial.expect(need->as<scf_requirements>()->h.size <= sizeof room + age.more, "larger",
               "requirements() says that it wrote more than there is room for");

  const auto fixed = piece.fixed();
  const auto needs = piece.needs();
  scf_bindings bindings{{0, SCF_KIND_BINDINGS, next}, fixed.data(), fixed.size(), needs.data(), needs.size()};
  const auto old_bindings = aged(bindings, sizeof bindings + age.more);
  scf_exec* exec = nullptr;
  plugins::check(t.program.instantiate(program, old_bindings->as<scf_bindings>(), &exec), "instantiate");

  const auto io = piece.io();
  const auto dims = piece.dims();
  const plugins::Semaphore done = device->create_semaphore();
  const scf_wait signal = done.at(1);
  scf_submit step{{0, SCF_KIND_SUBMIT, next}, dims.data(), dims.size(), io.data(), io.size(), nullptr, 0, &signal, 1};
  const auto old_step = aged(step, sizeof step + age.more);
  scf_queue* queue = nullptr;
  plugins::check(t.queue.queue_create(device->handle(), &queue), "queue_create");
  plugins::check(t.queue.submit(queue, exec, old_step->as<scf_submit>()), "submit");
  done.wait(1, to_ns(context.settings.wait_s));

  const ops::Outputs expected = ops::run_kernel(*reference::find_kernel(test->op), *test);
  if (const auto wrong = ops::find_mismatch(*test, expected, piece.outputs(), reference::reference_kernels()))
    trial.fail("result", *wrong);
  t.queue.queue_free(queue);
  t.program.exec_free(exec);
  t.program.program_free(program);
}

/// A host whose scf_requirements is shorter.
void small_requirements(Trial& trial, Context& context, const std::string& device_id) {
  const auto device = context.device(device_id);
  const ops::Case* test = claimed_case(*device, *context.host());
  if (test == nullptr) trial.skip("the device claims no case of any op");
  const ops::OneNodeGraph graph(*test, 0, context.host()->op_id(test->op));
  const auto& t = device->tables().program;
  scf_program* program = nullptr;
  plugins::check(t.compile(device->handle(), &graph.view(), nullptr, 0, &program), "compile");
  scf_requirements full{};
  full.h.kind = SCF_KIND_REQUIREMENTS;
  for (const std::uint64_t size : {sizeof(scf_hdr), offsetof(scf_requirements, n_needs),
                                   offsetof(scf_requirements, launches), sizeof(scf_requirements)}) {
    const auto room = aged(full, size);
    plugins::check(t.requirements(program, room->as<scf_requirements>()), "requirements");
    trial.expect(room->as<scf_requirements>()->h.size <= size, "smaller",
                 "requirements() says that it wrote more than there is room for");
  }
  t.program_free(program);
}

} // namespace

std::vector<Test> host_age_tests() {
  std::vector<Test> tests{
      {"L0:age:query-smallest", "the query reads no more of the host than its range of minors", query_smallest_host},
      {"L0:age:host-extension", "unknown extensions of the host are skipped", unknown_extension},
      {"L0:age:host-exact", "a host table with nothing behind it",
       [](Trial& trial, Context& context) { open_newer_host(trial, context, 0); }}};
  for (const auto& older : k_older_hosts)
    tests.push_back({fmt::format("L0:age:host-{}", older.size),
                     fmt::format("a host from before there was {}: opens or refuses", older.until),
                     [size = older.size](Trial& trial, Context& context) { open_older_host(trial, context, size); }});
  for (const std::uint64_t more : k_larger)
    tests.push_back({fmt::format("L0:age:host-plus-{}", more), "a host that knows more is served",
                     [more](Trial& trial, Context& context) { open_newer_host(trial, context, more); }});
  return tests;
}

std::vector<Test> program_age_tests(const Target& target) {
  const auto test = [&](const std::string& name, std::string title, const Age& age) {
    return Test{fmt::format("L0:age:{}{}", name, target.suffix), std::move(title),
                [id = target.id, age](Trial& trial, Context& context) { run_aged(trial, context, id, age); }};
  };
  return {test("program-exact", "structs with nothing behind them", {}),
          test("program-larger", "structs that know more", {72, 0, false}),
          test("program-strides", "values and nodes that know more", {0, 40, false}),
          test("program-extensions", "unknown extensions are skipped", {0, 0, true}),
          test("program-future", "all of it at once", {4096, 1000, true}),
          {fmt::format("L0:age:requirements{}", target.suffix), "a host with less room for requirements",
           [id = target.id](Trial& trial, Context& context) { small_requirements(trial, context, id); }}};
}

} // namespace seacliff::conform
