// L5: layouts of the plugin's own for weights: repacking is pure, may be cut and run in parallel, and comes back.
#include "plugins/conformance/context.hpp"
#include "plugins/conformance/levels.hpp"
#include "plugins/conformance/workbench.hpp"
#include "plugins/loader/tables.hpp"

#include "ops/cases/data.hpp"
#include "ops/cases/tolerance.hpp"
#include "ops/reference/kernels.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <set>
#include <thread>

namespace seacliff::conform {
namespace {

using plugins::Device;
using plugins::LayoutInfo;

constexpr std::int64_t k_rows = 96, k_columns = 2048; // so many that most layouts have room
constexpr std::byte k_rubbish{0x5a};

struct Slice {
  std::uint64_t begin, end; // rows
};

/// A product with a weight of the format, and the weight as the plugin sees it.
struct Subject {
  explicit Subject(DType format) : test(make(format)) {
    weight.id = 0;
    weight.dtype = static_cast<std::uint32_t>(format);
    weight.rank = 2;
    weight.role = SCF_ROLE_WEIGHT;
    weight.dims[0] = k_rows;
    weight.dims[1] = k_columns;
    weight.name = {"weight", 6};
  }
  static ops::Case make(DType format) {
    ops::CaseBuilder b("matmul", fmt::format("layout {}", ops::format_name(format)), 5);
    return b.activations({b.T(), ops::n(k_columns)})
        .weight(format, {ops::n(k_rows), ops::n(k_columns)}, 1 / std::sqrt(static_cast<double>(k_columns)))
        .build();
  }
  const std::vector<std::byte>& file() const { return test.inputs[1].data; }
  /// Where a slice begins in the file's layout.
  std::uint64_t at(const Slice& slice) const { return file().size() / k_rows * slice.begin; }

  ops::Case test;
  scf_value weight{};
};

void check_description(Trial& trial, const LayoutInfo& layout, const Subject& subject) {
  const auto expect = [&](bool good, std::string_view text) {
    trial.expect(good, "description", fmt::format("layout '{}': {}", layout.name, text));
  };
  expect(!layout.name.empty(), "it has no name");
  expect(layout.id != 0, "its id is 0, which is the file's own");
  expect(layout.bytes * 4 >= subject.file().size(), "it has less than a quarter of the file's bytes");
  expect(layout.align == 0 || std::has_single_bit(layout.align), "its alignment is no power of two");
  expect(k_rows % static_cast<std::int64_t>(layout.row_granularity) == 0 || layout.row_granularity < k_rows,
         "its slices are larger than the weight");
}

/// Cuts at multiples of the granularity, in an order that is not the rows'.
std::vector<Slice> slices_of(const LayoutInfo& layout, std::uint64_t seed) {
  std::vector<Slice> slices;
  ops::Random random(seed);
  for (std::uint64_t at = 0; at < k_rows;) {
    const std::uint64_t some = layout.row_granularity * static_cast<std::uint64_t>(1 + random.below(3));
    slices.push_back({at, std::min<std::uint64_t>(at + some, k_rows)});
    at = slices.back().end;
  }
  for (std::size_t i = slices.size(); i > 1; --i)
    std::swap(slices[i - 1], slices[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(i)))]);
  return slices;
}

std::vector<std::byte> repacked(const Device& device, const Subject& subject, const LayoutInfo& layout,
                                const std::vector<Slice>& slices, int threads) {
  std::vector<std::byte> packed(layout.bytes + 64, k_rubbish);
  const auto work = [&](int first) {
    for (std::size_t i = static_cast<std::size_t>(first); i < slices.size(); i += static_cast<std::size_t>(threads))
      device.repack(subject.weight, layout.id, slices[i].begin, slices[i].end,
                    subject.file().data() + subject.at(slices[i]),
                    packed.data() + layout.bytes * slices[i].begin / k_rows);
  };
  std::vector<std::thread> others;
  for (int t = 1; t < threads; ++t) others.emplace_back(work, t);
  work(0);
  for (std::thread& other : others) other.join();
  return packed;
}

void check_layout(Trial& trial, const Device& device, const Subject& subject, const LayoutInfo& layout) {
  check_description(trial, layout, subject);
  const std::vector<std::byte> whole = repacked(device, subject, layout, {{0, k_rows}}, 1);
  trial.expect(std::all_of(whole.end() - 64, whole.end(), [](std::byte b) { return b == k_rubbish; }), "bounds",
               fmt::format("layout '{}': repack wrote behind the bytes it asked for", layout.name));
  trial.expect(repacked(device, subject, layout, slices_of(layout, 1), 1) == whole, "slices",
               fmt::format("layout '{}': repacking slice by slice gives other bytes", layout.name));
  trial.expect(repacked(device, subject, layout, slices_of(layout, 2), 3) == whole, "slices",
               fmt::format("layout '{}': repacking in three threads gives other bytes", layout.name));
  std::vector<std::byte> back(subject.file().size(), k_rubbish);
  for (const Slice& slice : slices_of(layout, 3))
    device.unpack(subject.weight, layout.id, slice.begin, slice.end, whole.data() + layout.bytes * slice.begin / k_rows,
                  back.data() + subject.at(slice));
  trial.expect(back == subject.file(), "unpack", fmt::format("layout '{}': unpack(repack(x)) is not x", layout.name));
}

/// The product with the weight in this layout.
void check_product(Trial& trial, Context& context, const std::shared_ptr<Device>& device, const Subject& subject,
                   const LayoutInfo& layout) {
  ops::Case packed = subject.test;
  packed.inputs[1].data = repacked(*device, subject, layout, {{0, k_rows}}, 1);
  packed.inputs[1].data.resize(layout.bytes);
  Transfer transfer(device, context.settings.wait_s);
  std::unique_ptr<Workpiece> piece;
  try {
    piece = std::make_unique<Workpiece>(transfer, *context.host(), packed, 0, Layouts{0, layout.id});
  } catch (const Error& error) {
    trial.note(fmt::format("matmul does not take layout '{}': {}", layout.name, error.what()));
    return;
  }
  piece->reset();
  piece->run();
  const ops::Outputs expected = ops::run_kernel(*reference::find_kernel("matmul"), subject.test);
  if (const auto wrong = ops::find_mismatch(subject.test, expected, piece->outputs(), reference::reference_kernels()))
    trial.fail("result", fmt::format("layout '{}': {}", layout.name, *wrong));
  for (Finding& finding : piece->damage()) trial.fail(finding.check, finding.text);
}

void check_format(Trial& trial, Context& context, const std::string& id, DType format) {
  const auto& device = context.device(id);
  if (!device->has_layouts()) trial.skip("the plugin has no layouts of its own");
  const Subject subject(format);
  const std::vector<LayoutInfo> layouts = device->layouts(subject.weight);
  if (layouts.empty()) trial.skip("no layout for this format");
  std::set<std::uint32_t> ids;
  for (const LayoutInfo& layout : layouts) {
    trial.expect(ids.insert(layout.id).second, "description", fmt::format("two layouts have the id {}", layout.id));
    check_layout(trial, *device, subject, layout);
    check_product(trial, context, device, subject, layout);
  }
}

} // namespace

std::vector<Test> layout_tests(const Target& target) {
  std::vector<Test> tests;
  for (const DType format : ops::weight_formats())
    tests.push_back(
        {fmt::format("L5:repack:{}{}", ops::format_name(format), target.suffix),
         "there and back, in slices, in products",
         [id = target.id, format](Trial& trial, Context& context) { check_format(trial, context, id, format); }});
  return tests;
}

} // namespace seacliff::conform
