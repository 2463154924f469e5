// The toy plugin opened, and one segment of it from compile to result.
#pragma once

#include "core/topology/team.hpp"
#include "core/topology/topology.hpp"
#include "plugins/loader/plugin.hpp"
#include "tests/unit/plugins/segment_builder.hpp"
#include "tests/unit/plugins/toy_plugin.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace seacliff::plugins {

inline std::vector<std::string> toy_ops() {
  return {"add", "scale", "part", "pieces", "taker", "former", "accumulate", "liar", "shy", "conv9d"};
}

inline std::shared_ptr<Plugin> open_toy(std::shared_ptr<HostServices> host, const Options& options = {}) {
  const scf_plugin* plugin = nullptr;
  EXPECT_EQ(sdk::query<ToyPlugin>(host->table(), &plugin), SCF_OK);
  return std::make_shared<Plugin>(std::move(host), plugin, "in the test", options);
}

/// Buffers of a device by value id, and a queue with a timeline.
class Bench {
public:
  explicit Bench(std::shared_ptr<Device> device)
      : device_(std::move(device)), queue_(device_->create_queue()), done_(device_->create_semaphore()) {}

  /// Memory of `count` floats for a value, filled with `content` repeated.
  float* give(std::uint32_t value, std::size_t count, float content = 0) {
    Buffer& buffer = buffers_[value] = device_->alloc(count * sizeof(float));
    auto* data = reinterpret_cast<float*>(buffer.map());
    std::fill_n(data, count, content);
    return data;
  }
  scf_binding binding(std::uint32_t value) { return {value, 0, buffers_.at(value).slice()}; }
  std::vector<scf_binding> bindings(const std::vector<std::uint32_t>& values) {
    std::vector<scf_binding> all;
    for (const std::uint32_t value : values) all.push_back(binding(value));
    return all;
  }

  Exec instantiate(const std::shared_ptr<Program>& program, const std::vector<std::uint32_t>& resident) {
    std::vector<scf_slice> needs;
    for (const scf_need& need : program->requirements().needs) {
      needs_.push_back(device_->alloc(need.bytes, need.align, need.heap));
      needs.push_back(needs_.back().slice());
    }
    return program->instantiate(bindings(resident), needs);
  }

  void step(const Exec& exec, std::vector<scf_dim> dims, const std::vector<std::uint32_t>& io) {
    const scf_wait before = done_.at(submitted_);
    const scf_wait after = done_.at(++submitted_);
    const std::vector<scf_binding> bound = bindings(io);
    queue_.submit(exec, dims, bound, {&before, 1}, {&after, 1});
    done_.wait(submitted_);
  }

  Queue& queue() { return queue_; }
  Semaphore& done() { return done_; }

private:
  std::shared_ptr<Device> device_;
  std::map<std::uint32_t, Buffer> buffers_;
  std::vector<Buffer> needs_;
  Queue queue_;
  Semaphore done_;
  std::uint64_t submitted_ = 0;
};

/// Every test runs with one worker and with a team of four.
class ToyTest : public ::testing::TestWithParam<std::uint32_t> {
protected:
  ToyTest()
      : team_(GetParam() == 1 ? nullptr : std::make_unique<Team>(topology_, GetParam())),
        host_(std::make_shared<HostServices>(team_.get(), toy_ops())), plugin_(open_toy(host_)),
        device_(plugin_->open_device("toy:0")), bench_(device_),
        builder_([this](const std::string& op) { return host_->op_id(op); }) {}

  std::shared_ptr<Program> compile() { return device_->compile(builder_.view()); }

  Topology topology_;
  std::unique_ptr<Team> team_;
  std::shared_ptr<HostServices> host_;
  std::shared_ptr<Plugin> plugin_;
  std::shared_ptr<Device> device_;
  Bench bench_;
  SegmentBuilder builder_;
};

} // namespace seacliff::plugins
