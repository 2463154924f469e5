// L4: every op that the device claims, on the generated cases and on random ones, against the reference kernels. One
// test is one case: the claim is honest, the result right, nothing else is touched, and a second run gives the same
// bits.
#include "ops/cases/random_cases.hpp"
#include "ops/cases/tolerance.hpp"
#include "ops/reference/kernels.hpp"
#include "plugins/conformance/context.hpp"
#include "plugins/conformance/levels.hpp"
#include "plugins/conformance/workbench.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace seacliff::conform {
namespace {

using ops::Case;

/// The format that the cell of the support matrix is about: of the first matrix of weights, else of the first STATE.
std::string format_of(const Case& test) {
  const auto named = [](const ops::CaseValue& value) { return std::string(dtype_info(value.type.dtype).name); };
  for (const ops::CaseValue& in : test.inputs)
    if (in.role == SCF_ROLE_WEIGHT && in.type.dims.size() > 1) return named(in);
  for (const ops::CaseValue& in : test.inputs)
    if (in.role == SCF_ROLE_STATE) return named(in);
  return "f32";
}

ops::Outputs expected_outputs(const Case& test) { return ops::run_kernel(*reference::find_kernel(test.op), test); }

/// The node is declined: then it should not compile either.
[[noreturn]] void declined(Trial& trial, const plugins::Device& device, const scf_graph_view& view,
                           const std::string& reason) {
  try {
    const_cast<plugins::Device&>(device).compile(view);
    trial.note(fmt::format("compiles, though it is declined: {}", reason));
  } catch (const Error&) { // as it should be
  }
  trial.skip("declined: " + reason);
}

std::unique_ptr<Workpiece> make(Trial& trial, Transfer& transfer, const plugins::HostServices& host, const Case& test,
                                std::int64_t max_tokens = 0, const Layouts& layouts = {}) {
  try {
    return std::make_unique<Workpiece>(transfer, host, test, max_tokens, layouts);
  } catch (const Error& error) {
    if (!layouts.empty() && error.status().code == Code::unimplemented) return nullptr; // the op wants the file's
    for (const auto& [key, value] : error.status().details)
      if (key == "exception") throw;
    trial.stop("honesty", fmt::format("claimed, but it does not compile: {}", error.what()));
  }
}

void expect_right(Trial& trial, const Case& test, const ops::Outputs& expected, const ops::Outputs& got,
                  std::string_view check) {
  const auto wrong = ops::find_mismatch(test, expected, got, reference::reference_kernels());
  if (wrong) trial.fail(std::string(check), *wrong);
}

void expect_same_bits(Trial& trial, const Case& test, const ops::Outputs& once, const ops::Outputs& again) {
  for (std::size_t o = 0; o < once.size(); ++o)
    if (!once[o].same_data(again[o]))
      trial.fail("repeat", fmt::format("output '{}' of the same run twice differs in its bits",
                                       ops::find_schema(test.op)->outputs[o]));
}

void run_piece(Trial& trial, Workpiece& piece, const Case& test, const ops::Outputs& expected, std::string_view check) {
  piece.reset();
  piece.run();
  const ops::Outputs got = piece.outputs();
  expect_right(trial, test, expected, got, check);
  for (Finding& finding : piece.damage()) trial.fail(finding.check, finding.text);
  piece.reset();
  piece.run();
  expect_same_bits(trial, test, got, piece.outputs());
}

void run_case(Trial& trial, Context& context, const std::string& device_id, const Case& test, bool in_a_larger_plan) {
  const auto device = context.device(device_id);
  const plugins::HostServices& host = *context.host();
  const ops::OneNodeGraph graph(test, 0, host.op_id(test.op));
  const Answer answer = ask(trial, *device, graph.view());
  const Answer again = ask(trial, *device, graph.view());
  trial.expect(answer.level == again.level && answer.reason == again.reason, "claim", "propose changes its mind");
  if (answer.level == SCF_CLAIM_NO) declined(trial, *device, graph.view(), answer.reason);

  Transfer transfer(device, context.settings.wait_s);
  const ops::Outputs expected = expected_outputs(test);
  run_piece(trial, *make(trial, transfer, host, test), test, expected, "result");
  if (in_a_larger_plan) // compiled for more tokens than the step has
    run_piece(trial, *make(trial, transfer, host, test, 2 * test.tokens + 3), test, expected, "symbols");
  const Repacked repacked = repack_weights(*device, test);
  if (!repacked.any) return;
  const auto piece = make(trial, transfer, host, repacked.test, 0, repacked.layouts);
  if (piece)
    run_piece(trial, *piece, test, expected, "layouts");
  else
    trial.note("declined with its weights in the device's own layouts");
}

// ---- NaN -----------------------------------------------------------------------------------------------------------

/// Tokens do not look at each other: no batch, no table of rows to choose from.
bool tokens_are_apart(const Case& test) {
  const ops::Schema& schema = *ops::find_schema(test.op);
  if (test.tokens < 2 || test.inputs[0].role != SCF_ROLE_INPUT || test.inputs[0].type.dtype != DType::f32) return false;
  if (test.inputs[0].type.dims[0].sym == 0) return false;
  if (test.op == "gather_rows") return false;
  return std::none_of(schema.inputs.begin(), schema.inputs.end(), [](std::string_view in) { return in == "seq"; });
}

std::size_t row_bytes_of(const ops::CaseValue& value, std::int64_t tokens) {
  return value.data.size() / static_cast<std::size_t>(tokens);
}

/// One token's activations are NaN: all others come out as if nothing were wrong.
void run_nan(Trial& trial, Context& context, const std::string& device_id, const Case& original) {
  const auto device = context.device(device_id);
  const ops::OneNodeGraph graph(original, 0, context.host()->op_id(original.op));
  const Answer answer = ask(trial, *device, graph.view());
  if (answer.level == SCF_CLAIM_NO) trial.skip("declined: " + answer.reason);
  Case test = original;
  const std::int64_t bad = test.tokens / 2;
  const std::size_t row = row_bytes_of(test.inputs[0], test.tokens);
  std::memset(test.inputs[0].data.data() + static_cast<std::size_t>(bad) * row, 0xff, row);

  Transfer transfer(device, context.settings.wait_s);
  const auto piece = make(trial, transfer, *context.host(), test);
  piece->reset();
  piece->run();
  ops::Outputs got = piece->outputs();
  const ops::Outputs expected = expected_outputs(original);
  for (std::size_t o = 0; o < got.size(); ++o) { // the token's own outputs are not judged
    const std::size_t bytes = row_bytes_of(got[o], test.tokens);
    const auto at = static_cast<std::ptrdiff_t>(static_cast<std::size_t>(bad) * bytes);
    std::copy_n(expected[o].data.begin() + at, bytes, got[o].data.begin() + at);
  }
  expect_right(trial, original, expected, got, "nan");
  for (Finding& finding : piece->damage()) trial.fail(finding.check, finding.text);
}

// ---- the list ------------------------------------------------------------------------------------------------------

void add_op(std::vector<Test>& tests, const Target& target, const Settings& settings, const std::string& op) {
  const auto add = [&](const std::string& name, const std::string& title, std::shared_ptr<const Case> test, auto body) {
    tests.push_back({fmt::format("L4:{}:{}{}", op, name, target.suffix), title,
                     [test, body, id = target.id](Trial& trial, Context& context) { body(trial, context, id, *test); },
                     op, format_of(*test)});
  };
  std::vector<Case> fixed = ops::cases_for(op);
  bool nan = false;
  for (std::size_t i = 0; i < fixed.size(); ++i) {
    if (i % static_cast<std::size_t>(settings.every) != 0) continue;
    const auto test = std::make_shared<const Case>(std::move(fixed[i]));
    const bool larger = i % 3 == 1;
    add(std::to_string(i), test->name, test,
        [larger](Trial& t, Context& c, const std::string& id, const Case& k) { run_case(t, c, id, k, larger); });
    if (!nan && tokens_are_apart(*test)) {
      nan = true;
      add("nan", "NaN in one token of " + test->name, test, run_nan);
    }
  }
  const auto random = ops::random_cases(op, settings.seed, settings.cases);
  for (std::size_t i = 0; i < random.size(); ++i) {
    const auto test = std::make_shared<const Case>(random[i]);
    add(fmt::format("r{}", i), test->name, test,
        [](Trial& t, Context& c, const std::string& id, const Case& k) { run_case(t, c, id, k, true); });
  }
}

} // namespace

namespace {

/// Whether --ops and --only leave tests of the op: making its cases takes time.
bool wanted(const Settings& settings, const std::string& op) {
  const auto& only = settings.only;
  const auto named = [&](const std::string& id) {
    const std::string all = "L4:" + op;
    return id == "L4" || id == all || id.starts_with(all + ":");
  };
  return (settings.ops.empty() || std::find(settings.ops.begin(), settings.ops.end(), op) != settings.ops.end()) &&
         (only.empty() || std::any_of(only.begin(), only.end(), named));
}

} // namespace

std::vector<Test> op_tests(const Target& target, const Settings& settings) {
  std::vector<Test> tests;
  for (const ops::Schema& schema : ops::catalogue())
    if (const std::string op(schema.name); wanted(settings, op)) add_op(tests, target, settings, op);
  return tests;
}

} // namespace seacliff::conform
