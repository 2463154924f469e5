#include "graph/run/model.hpp"

#include "core/base/log.hpp"
#include "core/memory/host_buffer.hpp"
#include "core/memory/mapped_file.hpp"
#include "core/memory/memory_limit.hpp"
#include "graph/ir/view.hpp"
#include "graph/passes/passes.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <set>

namespace seacliff::graph {
namespace {

/// Graph sizes: one token, a few (several sequences, speculation), a prefill chunk.
std::vector<std::int64_t> bucket_sizes(std::int64_t max_step) {
  std::vector<std::int64_t> sizes;
  for (const std::int64_t size : {std::int64_t{1}, std::int64_t{8}})
    if (size < max_step) sizes.push_back(size);
  sizes.push_back(max_step);
  return sizes;
}

ModelOptions settle(ModelOptions options, const HParams& hp) {
  const auto positive = [](std::int64_t value, const char* name) {
    if (value < 1)
      throw Error(Code::invalid_argument, fmt::format("{} is {}", name, value), "give a number of at least 1");
  };
  positive(options.max_ctx, "--ctx");
  positive(options.n_slots, "the number of slots");
  positive(options.max_step, "the step size");
  positive(options.max_outputs, "the number of outputs");
  if (options.max_ctx > hp.max_context) {
    log::warn("model", "--ctx {} is more than the {} that the model was made for: using {}", options.max_ctx,
              hp.max_context, hp.max_context);
    options.max_ctx = hp.max_context;
  }
  options.max_step = std::min(options.max_step, std::max(options.max_ctx, options.n_slots));
  options.max_outputs = std::min(options.max_outputs, options.max_step);
  return options;
}

BuildOptions build_options(const ModelOptions& options, std::int64_t max_tokens) {
  return {.max_tokens = max_tokens,
          .max_outputs = std::min(options.max_outputs, max_tokens),
          .n_slots = options.n_slots,
          .max_ctx = options.max_ctx,
          .rewind_rows = options.rewind_rows,
          .act8 = !options.exact,
          .kv8 = options.kv8,
          .idx4 = options.idx4,
          .cache_dtype = options.exact ? DType::f32 : DType::f16};
}

/// Code, stacks and sampling buffers that are touched only after the plan is made.
constexpr std::uint64_t k_process_slack = 16U << 20;
std::uint64_t whole_pages(std::uint64_t bytes) { return (bytes + k_page - 1) / k_page * k_page; }

/// What is said of a file's pages: "mapped file, 40 % in memory, 98 % of it in large pages".
std::string pages_of(const MappedFile& file) {
  const MappedFile::Residence pages = file.residence();
  if (pages.in_memory == 0) return "mapped file, to be read";
  return fmt::format("mapped file, {:.0f} % in memory, {:.0f} % of it in large pages", 100 * pages.in_memory,
                     100 * pages.large);
}

} // namespace

Model::Model(std::shared_ptr<Runtime> runtime, GgufFile file, const ModelOptions& options)
    : runtime_(std::move(runtime)), file_(std::move(file)), hp_(hparams_from_gguf(file_)) {
  options_ = settle(options, hp_);
  slot_taken_.assign(static_cast<std::size_t>(options_.n_slots), false);
  devices_ = runtime_->open_devices(options_.backends);
  for (const auto& device : devices_) sites_.push_back(std::make_unique<Site>(device));
  const TensorDirectory tensors(file_, hp_);
  compile(tensors);
  if (file_.mapping() != nullptr) file_.mapping()->advise_large_pages();
  plan_memory(tensors);
  load_weights();
  allocate(tensors);
}

void Model::compile(const TensorDirectory& tensors) {
  PlaceOptions place;
  place.devices = devices_;
  for (std::uint32_t d = 0; d < sites_.size(); ++d)
    if (!sites_[d]->near()) place.copied.insert(d);
  place.deny = options_.deny;
  place.op_id = [this](std::string_view op) { return runtime_->host().op_id(op); };
  const std::vector<std::int64_t> sizes = bucket_sizes(options_.max_step);
  std::vector<Graph> graphs;
  for (const std::int64_t size : sizes)
    graphs.push_back(fold(build_deepseek4(hp_, tensors, build_options(options_, size))));
  add_states(graphs.front());
  do {
    programs_.clear();
    for (std::size_t i = 0; i < sizes.size(); ++i)
      programs_.push_back({sizes[i], std::make_unique<StepProgram>(graphs[i], place)});
  } while (!states_have_homes(place.away));
  if (options_.strict && !placement().fallbacks.empty())
    throw StrictRefusal(Code::failed_precondition, "refused by --strict: " + placement().summary(),
                        "leave --strict away, or choose a --backend that runs every op");
  log::info("model", "{}", placement().summary());
}

/// A state is in one place: in host memory, or on one device, for steps of all sizes. False when it would not be: then
/// the first device that has it apart from the others is sent away from it.
bool Model::states_have_homes(std::set<Away>& away) {
  std::vector<std::set<Site*>> users(states_.size()); // nullptr: host memory
  for (const Sized& sized : programs_)
    for (std::uint32_t d = 0; d < sites_.size(); ++d)
      for (const Value* value : sized.program->resident(d))
        if (value->role == Role::state)
          users[state_index_.at(value->name)].insert(sites_[d]->near() ? nullptr : sites_[d].get());
  const std::size_t before = away.size();
  state_site_.assign(states_.size(), nullptr);
  for (std::size_t s = 0; s < states_.size(); ++s) {
    if (users[s].size() == 1) state_site_[s] = *users[s].begin();
    if (users[s].size() < 2) continue;
    const auto far = std::find_if(sites_.begin(), sites_.end(),
                                  [&](const auto& site) { return !site->near() && users[s].contains(site.get()); });
    away.insert({states_[s].name, (*far)->device().full_id()});
  }
  return away.size() == before;
}

void Model::add_states(const Graph& graph) {
  std::map<ValueId, std::int64_t> ratio_of_cache;
  for (const Node& node : graph.nodes())
    if (node.op == "compress") ratio_of_cache[node.in[5]] = node.attrs.get_int("ratio");
  for (const Value& value : graph.values()) {
    if (value.role != Role::state) continue;
    StateTensor state;
    state.name = value.name;
    state.dtype = value.type.dtype;
    state.rows = value.type.dims[1].max;
    std::uint64_t elems = 1;
    for (std::size_t d = 2; d < value.type.dims.size(); ++d)
      elems *= static_cast<std::uint64_t>(value.type.dims[d].max);
    state.row_bytes = row_bytes(state.dtype, elems);
    const auto cache = ratio_of_cache.find(value.id);
    state.ratio = cache == ratio_of_cache.end() ? 0 : cache->second;
    state.index = states_.size();
    state_index_[state.name] = state.index;
    states_.push_back(std::move(state));
  }
}

std::uint64_t Model::state_bytes(const StateTensor& state) const {
  return static_cast<std::uint64_t>(options_.n_slots * state.rows) * state.row_bytes;
}

void Model::plan_memory(const TensorDirectory& tensors) {
  std::uint64_t rings = 0;
  for (const StateTensor& state : states_)
    if (state.ratio == 0) rings += state_bytes(state);
  memory_.process = process_memory().rss + k_process_slack; // first: pages_of touches pages of the weights
  memory_.checkpoints = rings * static_cast<std::uint64_t>(options_.checkpoints);
  for (std::uint32_t d = 0; d < sites_.size(); ++d) {
    SiteDemand demand;
    std::set<std::string_view> seen;
    demand.states.assign(states_.size(), 0);
    for (const Sized& sized : programs_) {
      for (const Value* value : sized.program->resident(d)) {
        if (value->role == Role::state)
          demand.states[state_index_.at(value->name)] = state_bytes(states_[state_index_.at(value->name)]);
        else if (seen.insert(value->name).second)
          demand.weights.push_back({tensors.find(value->name), describe(*value), sized.program->layout(d, *value)});
      }
      for (const auto& [heap, blocks] : sized.program->needs(d)) demand.needs[heap].take_larger(blocks);
      if (sized.program->uses(d)) demand.io = std::max(demand.io, sized.program->io_bytes());
    }
    sites_[d]->plan(std::move(demand), file_);
  }
  plan_host_memory();
  say_and_check();
}

/// What the sites in host memory share, and what the others take.
void Model::plan_host_memory() {
  memory_.state = memory_.scratch = memory_.io = 0;
  memory_.heaps.clear();
  host_.states.assign(states_.size(), 0);
  for (const StateTensor& state : states_) {
    if (state_site_[state.index] != nullptr) continue;
    host_.states[state.index] = memory_.state;
    memory_.state += whole_pages(state_bytes(state));
  }
  std::map<std::uint64_t, std::uint64_t> in_place; // weights that sites in host memory read: bytes by offset
  bool elsewhere = false;
  for (const auto& site : sites_) {
    if (site->shares_scratch())
      memory_.scratch = std::max(memory_.scratch, whole_pages(site->demand().needs.begin()->second.total()));
    for (const WeightUse& use : site->demand().weights) {
      elsewhere = elsewhere || !site->near();
      if (site->near()) in_place[use.tensor->offset] = use.tensor->bytes;
    }
    const std::vector<HeapPlan> heaps = site->heaps();
    memory_.heaps.insert(memory_.heaps.end(), heaps.begin(), heaps.end());
  }
  for (const Sized& sized : programs_) memory_.io = std::max(memory_.io, whole_pages(sized.program->io_bytes()));
  memory_.weights = file_.data_bytes();
  if (elsewhere) {
    memory_.weights = 0;
    for (const auto& [offset, bytes] : in_place) memory_.weights += bytes;
  }
  memory_.copied_weights = options_.copy_weights && file_.mapping() != nullptr && memory_.weights != 0;
  if (memory_.copied_weights) memory_.weights = file_.data_bytes(); // the file is copied as a whole
  if (memory_.weight_pages.empty())
    memory_.weight_pages = memory_.copied_weights ? "copied"
                           : file_.mapping()      ? pages_of(*file_.mapping())
                                                  : "in memory";
}

void Model::say_and_check() const {
  const MemoryLimit limit = memory_limit();
  log::info("model", "{}", memory_.summary(limit.total));
  for (const HeapPlan& heap : memory_.heaps) log::info("model", "{}", heap.summary());
  check_fit(memory_, limit.total);
  if (memory_.total() > limit.total)
    log::warn("model", "the weights do not stay in memory: parts of the file will be read again and again");
}

void Model::load_weights() {
  if (options_.copy_weights && !memory_.copied_weights)
    log::warn("model", "--weights copied changes nothing: no device reads weights from host memory");
  if (memory_.copied_weights) {
    const auto begin = std::chrono::steady_clock::now();
    file_.copy_into_memory();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
    log::info("model", "weights: copied in {:.1f} s, {:.0f} % in large pages", taken.count(),
              100 * file_.mapping()->residence().large);
  }
  bool as_planned = true;
  for (const auto& site : sites_) as_planned = site->import_weights() && as_planned;
  if (as_planned) return;
  plan_host_memory(); // a device that would have read the file's pages has copies of its own now
  say_and_check();
}

void Model::allocate(const TensorDirectory& tensors) {
  std::uint64_t align = k_page;
  for (const auto& site : sites_) {
    if (!site->near()) continue;
    align = std::max(align, site->device().info().import_heap()->import_align);
    for (const auto& [heap, blocks] : site->demand().needs) align = std::max(align, blocks.align);
  }
  const auto take = [&](std::uint64_t bytes, const char* what) {
    return HostBuffer(bytes, what, HostBuffer::Fill::none, HostBuffer::Pages::huge, align);
  };
  host_.state = take(memory_.state, "caches");
  host_.scratch = take(memory_.scratch, "scratch");
  host_.io = take(memory_.io, "inputs and logits");
  for (const auto& site : sites_) site->allocate(host_);
  for (const auto& site : sites_) site->load_weights(runtime_->team(), memory_.weights == 0);

  const auto slice = [&](std::uint32_t device, const Value& value) {
    const Site& site = *sites_[device];
    return value.role == Role::state ? site.state(state_index_.at(value.name)) : site.weight(*tensors.find(value.name));
  };
  for (Sized& sized : programs_) sized.program->bind(sites_, slice, host_.io.data());
  symbols_ = {{1, 0, 0}, {2, 0, 0}}; // n_tokens, n_outputs: the builder's order
}

std::vector<std::byte> Model::read_rows(const StateTensor& state, std::int64_t slot, std::int64_t rows) const {
  const std::uint64_t offset = static_cast<std::uint64_t>(slot * state.rows) * state.row_bytes;
  std::vector<std::byte> bytes(static_cast<std::size_t>(rows) * state.row_bytes);
  if (Site* site = state_site_[state.index])
    site->read_state(state.index, offset, bytes);
  else
    std::copy_n(host_.state.data() + host_.states[state.index] + offset, bytes.size(), bytes.begin());
  return bytes;
}

void Model::write_rows(const StateTensor& state, std::int64_t slot, std::span<const std::byte> rows) {
  const std::uint64_t offset = static_cast<std::uint64_t>(slot * state.rows) * state.row_bytes;
  if (Site* site = state_site_[state.index])
    site->write_state(state.index, offset, rows);
  else
    std::copy(rows.begin(), rows.end(), host_.state.data() + host_.states[state.index] + offset);
}

std::int64_t Model::take_slot() {
  const auto free = std::find(slot_taken_.begin(), slot_taken_.end(), false);
  if (free == slot_taken_.end())
    throw Error(Code::resource_exhausted, fmt::format("all {} sequence slots are in use", options_.n_slots),
                "end a session first, or give the model more slots");
  *free = true;
  return free - slot_taken_.begin();
}

StepProgram& Model::program_for(std::int64_t n_tokens) {
  for (Sized& sized : programs_)
    if (n_tokens <= sized.max_tokens) return *sized.program;
  throw Error(Code::internal, fmt::format("a step of {} tokens", n_tokens)); // check_step has refused it
}

void Model::check_step(std::span<const Run> runs, std::span<const std::int32_t> out_rows) const {
  std::int64_t n = 0;
  std::set<std::int64_t> slots;
  for (const Run& run : runs) {
    n += static_cast<std::int64_t>(run.tokens.size());
    if (run.slot < 0 || run.slot >= options_.n_slots || !slots.insert(run.slot).second)
      throw Error(Code::invalid_argument, fmt::format("slot {} is out of range or given twice", run.slot));
    const std::int64_t end = run.position + static_cast<std::int64_t>(run.tokens.size());
    if (run.position < 0 || end > options_.max_ctx)
      throw Error(Code::out_of_range, fmt::format("position {} is beyond the context of {}", end - 1, options_.max_ctx),
                  "raise --ctx");
    for (const std::int32_t token : run.tokens)
      if (token < 0 || token >= hp_.n_vocab)
        throw Error(Code::invalid_argument, fmt::format("token {} is not in the vocabulary of {}", token, hp_.n_vocab));
  }
  if (n < 1 || n > options_.max_step)
    throw Error(Code::invalid_argument, fmt::format("a step of {} tokens; 1 to {} are possible", n, options_.max_step));
  if (static_cast<std::int64_t>(out_rows.size()) > options_.max_outputs)
    throw Error(Code::invalid_argument,
                fmt::format("{} logit rows asked for; {} are possible", out_rows.size(), options_.max_outputs));
  for (const std::int32_t row : out_rows)
    if (row < 0 || row >= n) throw Error(Code::invalid_argument, fmt::format("logit row {} of {} tokens", row, n));
}

std::span<const float> Model::step(std::span<const Run> runs, std::span<const std::int32_t> out_rows) {
  check_step(runs, out_rows);
  std::int64_t n = 0;
  for (const Run& run : runs) n += static_cast<std::int64_t>(run.tokens.size());
  StepProgram& program = program_for(n);
  auto* tokens = reinterpret_cast<std::int32_t*>(program.io("tokens"));
  auto* pos = reinterpret_cast<std::int32_t*>(program.io("pos"));
  auto* seq = reinterpret_cast<std::int32_t*>(program.io("seq"));
  auto* rows = reinterpret_cast<std::int32_t*>(program.io("out_rows"));
  std::int32_t i = 0;
  for (const Run& run : runs) {
    const std::int32_t first = i, last = i + static_cast<std::int32_t>(run.tokens.size()) - 1;
    for (const std::int32_t token : run.tokens) {
      tokens[i] = token;
      pos[i] = static_cast<std::int32_t>(run.position) + (i - first);
      seq[3 * i] = static_cast<std::int32_t>(run.slot);
      seq[3 * i + 1] = first;
      seq[3 * i + 2] = last;
      ++i;
    }
  }
  std::copy(out_rows.begin(), out_rows.end(), rows);
  symbols_[0].value = n;
  symbols_[1].value = static_cast<std::int64_t>(out_rows.size());
  if (step_sink_)
    run_profiled(program, runs);
  else
    program.run(symbols_);
  const auto* logits = reinterpret_cast<const float*>(program.io("logits"));
  return {logits, out_rows.size() * static_cast<std::size_t>(hp_.n_vocab)};
}

void Model::profile(Granularity granularity, StepSink sink) {
  if (!sink) granularity = Granularity::off;
  for (const auto& device : devices_) {
    if (!device->has_profile()) continue;
    if (granularity == Granularity::off)
      device->profile_end();
    else
      device->profile_begin(static_cast<std::uint32_t>(granularity));
  }
  granularity_ = granularity;
  step_sink_ = std::move(sink);
  lost_before_ = 0;
}

void Model::run_profiled(StepProgram& program, std::span<const Run> runs) {
  double visible = 0, n = 0;
  for (const Run& run : runs) {
    const auto count = static_cast<double>(run.tokens.size());
    visible += count * (static_cast<double>(run.position) + (count + 1) / 2);
    n += count;
  }
  record_.visible = visible / n;
  record_.symbols.clear();
  for (const scf_dim& symbol : symbols_) record_.symbols.push_back(symbol.value);
  program.run_profiled(symbols_, granularity_, record_);
  record_.lost -= lost_before_;
  lost_before_ += record_.lost;
  step_sink_(record_);
}

} // namespace seacliff::graph
