#include "exec.hpp"

#include <algorithm>
#include <cstring>

namespace seacliff::vulkan {
namespace {

constexpr std::uint64_t k_indirect = std::uint64_t{1} << 63; // the rest is an offset in the step's block

std::string quoted(const Value& value) { return "'" + value.name + "'"; }

} // namespace

Exec::Exec(Program& program, const scf_bindings& bindings)
    : program_(program), device_(program.device()), bound_(program.values().size()), pool_(device_), done_(device_, 0),
      symbols_(program.symbols().size()) {
  bind(bindings);
  slots_ = std::make_unique<Buffer>(device_, k_host_heap, k_slots * program.step().bytes, 0);
  block_ = std::make_unique<Buffer>(device_, k_device_heap, program.step().bytes, 0);
  const std::vector<std::byte>& constants = program.recording().constants;
  next_.resize(program.step().bytes);
  std::copy(constants.begin(), constants.end(), next_.begin() + static_cast<std::ptrdiff_t>(program.step().constants));
  record_tells();
}

Exec::~Exec() {
  device_.drain();
  device_.profile().forget(this);
  device_.vk().vkDestroyQueryPool(device_.handle(), times_, nullptr);
}

void Exec::bind(const scf_bindings& bindings) {
  const std::vector<Value>& values = program_.values();
  std::vector<bool> has(values.size());
  for (std::uint64_t i = 0; i < bindings.n_items; ++i) {
    const scf_binding& item = bindings.items[i];
    if (item.value >= values.size())
      throw sdk::Failure(SCF_INVALID_ARGUMENT, "a binding names no value of the segment");
    if (item.slice.bytes < values[item.value].most_bytes())
      throw sdk::Failure(SCF_INVALID_ARGUMENT, "the slice bound to " + quoted(values[item.value]) + " is too small");
    if (item.slice.bytes != 0) bound_[item.value] = Buffer::address_of(item.slice);
    has[item.value] = true;
  }
  for (std::size_t id = 0; id < values.size(); ++id)
    if (values[id].used && !has[id] && (values[id].role == SCF_ROLE_WEIGHT || values[id].role == SCF_ROLE_STATE))
      throw sdk::Failure(SCF_INVALID_ARGUMENT, "nothing is bound to " + quoted(values[id]));
  const std::vector<scf_need>& needs = program_.needs();
  if (bindings.n_needs < needs.size())
    throw sdk::Failure(SCF_INVALID_ARGUMENT, "nothing is bound to the scratch of the program");
  if (needs.empty()) return;
  if (bindings.needs[0].bytes < needs[0].bytes)
    throw sdk::Failure(SCF_INVALID_ARGUMENT, "the scratch bound is smaller than required",
                       {{"need", static_cast<std::int64_t>(needs[0].bytes)},
                        {"free", static_cast<std::int64_t>(bindings.needs[0].bytes)}});
  scratch_ = Buffer::address_of(bindings.needs[0]);
}

/// An address, or where in the step's block it will stand.
std::uint64_t Exec::resolve(const Place& place) const {
  switch (place.kind) {
  case Place::Kind::none: return 0;
  case Place::Kind::block: return scratch_ + program_.block_offsets()[place.index] + place.offset;
  case Place::Kind::constants: return block_->address() + program_.step().constants + place.offset;
  case Place::Kind::counters: return block_->address() + program_.step().counters + place.offset;
  case Place::Kind::value: break;
  }
  const Value& value = program_.values()[place.index];
  if (value.role == SCF_ROLE_TEMP) return scratch_ + value.offset + place.offset;
  if (value.role == SCF_ROLE_INPUT || value.role == SCF_ROLE_OUTPUT) {
    std::uint64_t address = 0;
    if (!alternates_) std::memcpy(&address, next_.data() + value.offset, sizeof address);
    return address != 0 ? address + place.offset : k_indirect | value.offset;
  }
  return bound_[place.index] + place.offset;
}

std::uint32_t Exec::resolve(const Word& word, bool varying) const {
  constexpr std::uint32_t plain = 1u << 31; // as count() in base.glsl has it
  if (!word.counted || varying) return word.value;
  const std::uint64_t most = program_.recording().counts[word.value / 4].most;
  return most < plain ? plain | static_cast<std::uint32_t>(most) : word.value;
}

/// The host keeps the slices of inputs and outputs the same, as a rule: then their addresses are part of the
/// recordings.
void Exec::keep_recordings() {
  const std::span io =
      std::span(next_).subspan(program_.step().addresses, program_.step().grids - program_.step().addresses);
  if (alternates_ || std::equal(io.begin(), io.end(), recorded_io_.begin(), recorded_io_.end())) return;
  if (!recorded_io_.empty()) {
    alternates_ = true;
    wait_for(steps_);
    std::fill(std::begin(recordings_), std::end(recordings_), VkCommandBuffer{});
  }
  recorded_io_.assign(io.begin(), io.end());
}

void Exec::record_tells() {
  for (std::uint64_t slot = 0; slot < k_slots; ++slot) {
    VkCommandBuffer commands = tell_[slot] = pool_.make();
    begin(device_, commands);
    full_barrier(device_, commands); // the step before may still read its block
    const VkBufferCopy region{slots_->start() + slot * program_.step().bytes, block_->start(), program_.step().bytes};
    device_.vk().vkCmdCopyBuffer(commands, slots_->handle(), block_->handle(), 1, &region);
    end(device_, commands);
  }
}

VkCommandBuffer Exec::recording(Kind kind) {
  VkCommandBuffer& commands = recordings_[kind];
  if (commands != VK_NULL_HANDLE) return commands;
  const auto stamps = static_cast<std::uint32_t>(program_.launches().size() + 1);
  if (kind >= k_full_timed && times_ == VK_NULL_HANDLE) times_ = make_times(device_, stamps);
  VkCommandBuffer fresh = pool_.make();
  begin(device_, fresh);
  if (kind >= k_full_timed) device_.vk().vkCmdResetQueryPool(fresh, times_, 0, stamps);
  record_launches(fresh, kind);
  end(device_, fresh);
  return commands = fresh;
}

void Exec::record_launches(VkCommandBuffer commands, Kind kind) {
  const DeviceCalls& vk = device_.vk();
  const bool timed = kind >= k_full_timed, varying = kind == k_varying || kind == k_varying_timed;
  const auto stamp = [&](std::uint32_t query) {
    if (timed) vk.vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, times_, query);
  };
  full_barrier(device_, commands); // steps of a queue run in order
  stamp(0);
  VkPipeline current = VK_NULL_HANDLE;
  std::uint32_t level = 0, query = 0;
  for (const Launch& launch : program_.launches()) {
    if (launch.level != level) level_barrier(device_, commands);
    level = launch.level;
    if (launch.pipeline != current) vk.vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, launch.pipeline);
    current = launch.pipeline;
    PushBlock push{};
    push.step = block_->address();
    const std::size_t direct = launch.table != 0 ? PushBlock::k_direct : launch.dispatch.at.size();
    for (std::size_t i = 0; i < direct; ++i) push.at[i] = resolve(launch.dispatch.at[i].place);
    if (launch.table != 0) push.at[PushBlock::k_direct] = block_->address() + launch.table;
    for (std::size_t i = 0; i < launch.dispatch.n.size(); ++i) push.n[i] = resolve(launch.dispatch.n[i], varying);
    for (std::size_t i = direct; i < launch.dispatch.at.size(); ++i)
      put(launch.table + (i - direct) * 8, resolve(launch.dispatch.at[i].place));
    vk.vkCmdPushConstants(commands, device_.pipelines().layout(), VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof push, &push);
    if (varying && launch.grid != 0) {
      vk.vkCmdDispatchIndirect(commands, block_->handle(), block_->start() + launch.grid);
    } else {
      std::uint32_t groups[3];
      for (int axis = 0; axis < 3; ++axis)
        groups[axis] = program_.groups(launch, axis, launch.dispatch.groups[axis].count.most);
      vk.vkCmdDispatch(commands, groups[0], groups[1], groups[2]);
    }
    stamp(++query);
  }
  host_barrier(device_, commands);
}

std::int64_t Exec::value_of(const Symbol& symbol, const scf_submit& step) const {
  for (std::uint64_t i = 0; i < step.n_dims; ++i) {
    if (step.dims[i].sym != symbol.sym) continue;
    if (step.dims[i].value < 0 || step.dims[i].value > symbol.most)
      throw sdk::Failure(SCF_INVALID_ARGUMENT, "symbol " + std::to_string(symbol.sym) + " is outside its range");
    return step.dims[i].value;
  }
  throw sdk::Failure(SCF_INVALID_ARGUMENT, "symbol " + std::to_string(symbol.sym) + " has no value");
}

/// Makes next_.
void Exec::fill(const scf_submit& step) {
  const std::vector<Symbol>& symbols = program_.symbols();
  for (std::size_t i = 0; i < symbols.size(); ++i) symbols_[i] = value_of(symbols[i], step);
  const auto now = [&](const Count& count) -> std::uint64_t {
    for (std::size_t i = 0; i < symbols.size(); ++i)
      if (symbols[i].sym == count.sym) return count.factor * static_cast<std::uint64_t>(symbols_[i]);
    return count.factor;
  };
  const std::vector<Count>& counts = program_.recording().counts;
  for (std::size_t i = 0; i < counts.size(); ++i) put(i * 4, static_cast<std::uint32_t>(now(counts[i])));
  const std::vector<Value>& values = program_.values();
  std::vector<bool> has(values.size());
  for (std::uint64_t i = 0; i < step.n_io; ++i) {
    const scf_binding& io = step.io[i];
    const bool known = io.value < values.size() &&
                       (values[io.value].role == SCF_ROLE_INPUT || values[io.value].role == SCF_ROLE_OUTPUT);
    if (!known) throw sdk::Failure(SCF_INVALID_ARGUMENT, "a step binds a value that is neither input nor output");
    const Value& value = values[io.value];
    if (!value.used) continue;
    if (io.slice.bytes < now(value.rows) * value.row_bytes)
      throw sdk::Failure(SCF_INVALID_ARGUMENT, "the slice bound to " + quoted(value) + " is too small");
    put(value.offset, io.slice.bytes != 0 ? Buffer::address_of(io.slice) : std::uint64_t{0});
    has[io.value] = true;
  }
  for (std::size_t id = 0; id < values.size(); ++id) {
    const bool io = values[id].role == SCF_ROLE_INPUT || values[id].role == SCF_ROLE_OUTPUT;
    if (io && values[id].used && !has[id])
      throw sdk::Failure(SCF_INVALID_ARGUMENT, "nothing is bound to " + quoted(values[id]));
  }
  for (const Launch& launch : program_.launches())
    for (int axis = 0; launch.grid != 0 && axis < 3; ++axis)
      put(launch.grid + static_cast<std::uint64_t>(axis) * 4,
          program_.groups(launch, axis, now(launch.dispatch.groups[axis].count)));
}

void Exec::run(const scf_submit& step) {
  fill(step);
  keep_recordings();
  const std::vector<Symbol>& symbols = program_.symbols();
  bool full = true;
  for (std::size_t i = 0; i < symbols.size(); ++i) full = full && symbols_[i] == symbols[i].most;
  const std::uint32_t granularity = device_.profile().granularity();
  const bool timed = granularity != SCF_PROFILE_OFF;
  if (timed) collect_times();
  const VkCommandBuffer launches = recording(timed ? full ? k_full_timed : k_varying_timed : full ? k_full : k_varying);

  // The device keeps what it was told: the same symbols and slices need not be told again.
  std::vector<VkCommandBuffer> commands;
  if (steps_ >= k_slots) wait_for(steps_ + 1 - k_slots); // no more are on their way at once than there are slots
  if (next_ != told_) {
    const std::uint64_t slot = steps_ % k_slots;
    std::copy(next_.begin(), next_.end(), slots_->mapped() + slot * program_.step().bytes);
    commands.push_back(tell_[slot]);
  }
  commands.push_back(launches);
  told_.clear(); // not known, should this submit fail
  submit(device_, step, commands, done_, steps_ + 1);
  ++steps_;
  told_ = next_;
  if (!timed) return;
  timing_ = granularity;
  device_.profile().expect(this);
}

void Exec::wait_for(std::uint64_t step) {
  const sdk::Status lost(device_.host(), done_.wait(step, ~std::uint64_t{0})); // later calls say it again
}

void Exec::collect_times() {
  if (timing_ == SCF_PROFILE_OFF) return;
  const std::uint32_t granularity = std::exchange(timing_, std::uint32_t{SCF_PROFILE_OFF});
  device_.profile().forget(this);
  wait_for(steps_);
  const std::vector<Launch>& launches = program_.launches();
  if (launches.empty()) return;
  const auto ticks = read_times(device_, times_, static_cast<std::uint32_t>(launches.size() + 1));
  if (granularity == SCF_PROFILE_PROGRAM) {
    std::uint32_t first = ~0u, last = 0;
    for (const Launch& launch : launches) {
      first = std::min(first, launch.dispatch.node);
      last = std::max(last, launch.dispatch.node);
    }
    device_.profile().add({this, first, last - first + 1, ticks.front(), std::max(ticks.front(), ticks.back()), 0});
    return;
  }
  for (std::size_t i = 0; i < launches.size(); ++i)
    device_.profile().add(
        {this, launches[i].dispatch.node, 1, ticks[i], std::max(ticks[i], ticks[i + 1]), launches[i].weight_bytes});
}

std::uint64_t timestamp_now(Device& device) {
  CommandPool pool(device);
  Sema done(device, 0);
  const VkQueryPool times = make_times(device, 1);
  const VkCommandBuffer commands = pool.make();
  begin(device, commands);
  device.vk().vkCmdResetQueryPool(commands, times, 0, 1);
  device.vk().vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, times, 0);
  end(device, commands);
  const scf_submit nothing{};
  submit(device, nothing, {&commands, 1}, done, 1);
  const sdk::Status lost(device.host(), done.wait(1, ~std::uint64_t{0}));
  const std::uint64_t ticks = lost.ok() ? read_times(device, times, 1).front() : 0;
  device.vk().vkDestroyQueryPool(device.handle(), times, nullptr);
  return ticks;
}

} // namespace seacliff::vulkan
