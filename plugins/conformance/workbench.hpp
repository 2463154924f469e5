// A case of ops/cases on a device, through the whole of the ABI: memory with sentinels around every operand, compile,
// instantiate, submit, wait, read back.
#pragma once

#include "ops/cases/run_case.hpp"
#include "plugins/conformance/suite.hpp"
#include "plugins/loader/transfer.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace seacliff::conform {

/// The host's way of moving bytes, with a deadline.
class Transfer : public plugins::Transfer {
public:
  /// `wait_s`: how long a copy may take.
  Transfer(std::shared_ptr<plugins::Device> device, double wait_s);

  /// The heap for operands.
  const plugins::HeapInfo& heap() const { return device().info().own_heap(); }
  std::vector<std::byte> read(plugins::Buffer& buffer, std::uint64_t offset, std::uint64_t bytes);
  double wait_s() const { return wait_s_; }

private:
  double wait_s_;
};

/// An operand on the device between two zones of sentinels.
class Operand {
public:
  Operand(Transfer& transfer, std::uint64_t bytes);
  /// Memory that a program needs.
  Operand(Transfer& transfer, const scf_need& need);

  scf_slice slice() const { return buffer_.slice(zone_, bytes_); }
  void put(Transfer& transfer, std::span<const std::byte> data);
  /// Fills the data with bytes that are NaN as floats and -1 as integers.
  void poison(Transfer& transfer);
  std::vector<std::byte> get(Transfer& transfer) { return transfer.read(buffer_, zone_, bytes_); }
  /// Where a sentinel was overwritten, in words.
  std::optional<std::string> damage(Transfer& transfer);

private:
  Operand(Transfer& transfer, const plugins::HeapInfo& heap, std::uint64_t bytes, std::uint64_t align);
  void put_image(Transfer& transfer, std::vector<std::byte> image);

  std::uint64_t zone_; // bytes of sentinels: a multiple of what the heap asks of offsets
  plugins::Buffer buffer_;
  std::uint64_t bytes_;
};

/// Ids of layouts by input of a case; 0, and those that are missing: the file's.
using Layouts = std::vector<std::uint32_t>;

/// A case whose weights are in the layouts that the device likes best.
struct Repacked {
  ops::Case test;
  Layouts layouts;
  bool any = false; // else it is the case as it was
};
Repacked repack_weights(const plugins::Device& device, const ops::Case& test);

/// A case, compiled and bound. Keeps what it borrows: the case must outlive it.
class Workpiece {
public:
  /// `max_tokens`: what it is compiled for, at least the tokens of the case; 0: exactly those. `layouts`: of the
  /// inputs, whose data have them already; none: the file's. Throws what compile and instantiate say.
  Workpiece(Transfer& transfer, const plugins::HostServices& host, const ops::Case& test, std::int64_t max_tokens = 0,
            const Layouts& layouts = {});

  /// Puts inputs and states (as the case has them) and poisons the outputs and what the program needs.
  void reset();
  /// Submits, waits, and throws what the semaphore says.
  void run();
  /// Submits without waiting. `waits` and `signals` as the ABI has them.
  void submit(std::span<const scf_wait> waits, std::span<const scf_wait> signals);
  ops::Outputs outputs();
  /// Sentinels that were overwritten, and inputs that were changed: check and text.
  std::vector<Finding> damage();

  const scf_graph_view& view() const { return view_; }
  std::vector<scf_binding> io() const;    // INPUT and OUTPUT, as submit binds them
  std::vector<scf_binding> fixed() const; // WEIGHT and STATE
  std::vector<scf_dim> dims() const;
  const plugins::Exec& exec() const { return exec_; }
  plugins::Program& program() { return *program_; }
  std::vector<scf_slice> needs() const;
  plugins::Queue& queue() { return queue_; }

private:
  struct Bound {
    std::uint32_t value, role;
    std::string name;
    const ops::CaseValue* given; // nullptr: an output
    std::unique_ptr<Operand> operand;
  };

  Transfer& transfer_;
  const ops::Case& test_;
  ops::OneNodeGraph graph_;
  std::vector<scf_value> values_; // as graph_ has them, with the layout
  scf_graph_view view_{};
  std::vector<ops::ValueType> out_types_;
  std::vector<Bound> bound_;
  std::vector<std::unique_ptr<Operand>> needs_;
  std::shared_ptr<plugins::Program> program_;
  plugins::Exec exec_;
  plugins::Queue queue_;
  plugins::Semaphore done_;
  std::uint64_t submits_ = 0;
};

/// Nanoseconds for Semaphore::wait.
std::uint64_t to_ns(double seconds);

/// What the device says about the one node of a case.
struct Answer {
  std::uint32_t level = SCF_CLAIM_NO;
  std::string reason;
};
/// Fails `trial` (check "claim") where the claims break a rule: none or several for the node, a NO without a reason.
Answer ask(Trial& trial, const plugins::Device& device, const scf_graph_view& view);

/// A small case that the device claims and compiles; nullptr: there is none. The case lives as long as the process.
const ops::Case* claimed_case(const plugins::Device& device, const plugins::HostServices& host);

} // namespace seacliff::conform
