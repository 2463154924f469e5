// Host memory: buffers, the process's own figures, limits. To add a test of a kernel file, write the file's text into
// the test (or under a temporary root) and state the figures; tests of the live system check only what holds
// everywhere.
#include "core/base/bytes.hpp"
#include "core/base/status.hpp"
#include "core/memory/host_buffer.hpp"
#include "core/memory/memory_limit.hpp"
#include "core/topology/bandwidth.hpp"
#include "core/topology/team.hpp"
#include "core/topology/topology.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

namespace seacliff {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t mib = std::uint64_t{1} << 20;

bool all_zero(const HostBuffer& buffer) {
  return std::all_of(buffer.bytes().begin(), buffer.bytes().end(), [](std::byte b) { return b == std::byte{0}; });
}

TEST(HostBuffer, IsAlignedAndZeroed) {
  for (const std::uint64_t size :
       {std::uint64_t{1}, std::uint64_t{63}, std::uint64_t{4097}, 4 * mib - 1, 4 * mib, 9 * mib + 5}) {
    HostBuffer buffer(size, "a test", HostBuffer::Fill::zero);
    EXPECT_EQ(buffer.size(), size);
    EXPECT_EQ(buffer.bytes().size(), size);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % (size < 4 * mib ? 64 : 2 * mib), 0u) << size;
    EXPECT_TRUE(all_zero(buffer)) << size;
    std::memset(buffer.data(), 0xff, size); // all of it is ours
  }
}

TEST(HostBuffer, NormalPagesToo) {
  const HostBuffer buffer(5 * mib, "a test", HostBuffer::Fill::zero, HostBuffer::Pages::normal);
  EXPECT_TRUE(all_zero(buffer));
}

TEST(HostBuffer, BeginsAtTheAlignmentAskedFor) {
  using Fill = HostBuffer::Fill;
  using Pages = HostBuffer::Pages;
  for (const std::uint64_t align : {std::uint64_t{1}, k_page, 16 * k_page})
    for (const std::uint64_t size : {std::uint64_t{1}, k_page + 1, 5 * mib}) {
      const HostBuffer buffer(size, "a test", Fill::none, Pages::normal, align);
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % align, 0u) << size << " at " << align;
      EXPECT_EQ(buffer.size(), size);
    }
  EXPECT_THROW(HostBuffer(64, "a test", Fill::none, Pages::normal, 48), Error);
}

TEST(HostBuffer, EmptyIsFine) {
  const HostBuffer none, zero(0, "nothing");
  EXPECT_TRUE(none.empty());
  EXPECT_EQ(zero.data(), nullptr);
}

TEST(HostBuffer, Moves) {
  HostBuffer a(100, "a test", HostBuffer::Fill::zero), b(8 * mib, "a test");
  std::byte* const block = a.data();
  block[99] = std::byte{7};
  b = std::move(a);
  EXPECT_EQ(b.data(), block);
  EXPECT_EQ(b.size(), 100u);
  HostBuffer c(std::move(b));
  EXPECT_EQ(c.bytes().back(), std::byte{7});
  c.reset();
  EXPECT_TRUE(c.empty());
}

TEST(HostBuffer, AnImpossibleSizeNamesItsUse) {
  for (const std::uint64_t size : {std::uint64_t{1} << 56, ~std::uint64_t{0}}) {
    try {
      const HostBuffer buffer(size, "the window of layer 3");
      FAIL() << size;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::resource_exhausted);
      EXPECT_NE(std::string(error.what()).find("the window of layer 3"), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find(format_bytes(size)), std::string::npos) << error.what();
      ASSERT_EQ(error.status().details.size(), 2u);
      EXPECT_EQ(error.status().details[0].first, "need");
    }
  }
}

TEST(Bytes, ReadWell) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1023), "1023 B");
  EXPECT_EQ(format_bytes(1536), "1.5 KiB");
  EXPECT_EQ(format_bytes(mib - 1), "1.0 MiB");
  EXPECT_EQ(format_bytes(23 * 1024 * mib + 512 * mib), "23.5 GiB");
  EXPECT_EQ(format_bytes(~std::uint64_t{0}), "16.0 EiB");
}

TEST(ProcessMemory, ReadsTheKernelsLines) {
  const ProcessMemory memory = parse_process_status("Name:\tseacliff\n"
                                                    "VmPeak:\t  999999 kB\n"
                                                    "VmLck:\t       4 kB\n"
                                                    "VmHWM:\t    2048 kB\n"
                                                    "VmRSS:\t    1024 kB\n"
                                                    "RssAnon:\t     600 kB\n"
                                                    "RssFile:\t     400 kB\n"
                                                    "RssShmem:\t      24 kB\n"
                                                    "VmSwap:\t       8 kB\n");
  EXPECT_EQ(memory.peak_rss, 2 * mib);
  EXPECT_EQ(memory.rss, mib);
  EXPECT_EQ(memory.rss_anon, 600u * 1024);
  EXPECT_EQ(memory.rss_file, 400u * 1024);
  EXPECT_EQ(memory.rss_shmem, 24u * 1024);
  EXPECT_EQ(memory.locked, 4u * 1024);
  EXPECT_EQ(memory.swapped, 8u * 1024);
}

TEST(ProcessMemory, MissingOrStrangeLinesReadAsZero) {
  EXPECT_EQ(parse_process_status("").rss, 0u);
  EXPECT_EQ(parse_process_status("VmRSS").rss, 0u);
  EXPECT_EQ(parse_process_status("VmRSS:").rss, 0u);
  EXPECT_EQ(parse_process_status("VmRSS:\t many kB\n").rss, 0u);
  EXPECT_EQ(parse_process_status("XVmRSS:\t 7 kB\nVmRSSX:\t 8 kB\n").rss, 0u);
  EXPECT_EQ(parse_process_status("VmRSS: 3 kB").rss, 3u * 1024); // no newline at the end
}

TEST(ProcessMemory, GrowsWithWhatIsTouched) {
  const ProcessMemory before = process_memory();
  EXPECT_GT(before.rss, 0u);
  EXPECT_GE(before.peak_rss, before.rss);
  HostBuffer buffer(64 * mib, "a test", HostBuffer::Fill::none, HostBuffer::Pages::normal);
  std::memset(buffer.data(), 1, buffer.size());
  const ProcessMemory after = process_memory();
  EXPECT_GE(after.rss_anon + 4 * mib, before.rss_anon + 64 * mib); // the kernel counts in batches
  EXPECT_GE(after.peak_rss, after.rss);
}

TEST(MemoryLimit, ThisMachine) {
  const MemoryLimit limit = memory_limit();
  EXPECT_GT(limit.total, 0u);
  EXPECT_LE(limit.total, limit.machine);
  EXPECT_LE(limit.available, limit.machine);
}

// A directory that looks like "/" to the cgroup readers.
class Cgroup : public ::testing::Test {
protected:
  Cgroup()
      : root_(fs::temp_directory_path() /
              ("seacliff-cgroup-" + std::to_string(::testing::UnitTest::GetInstance()->random_seed()) + "-" +
               ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    fs::remove_all(root_);
  }
  ~Cgroup() override { fs::remove_all(root_); }

  void file(const std::string& path, const std::string& text) const {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  CgroupMemory memory() const { return cgroup_memory(root_.string()); }
  double cpus() const { return cgroup_cpus(root_.string()); }

private:
  fs::path root_;
};

TEST_F(Cgroup, NothingThere) {
  EXPECT_EQ(memory().limit, 0u);
  EXPECT_EQ(cpus(), 0.0);
}

TEST_F(Cgroup, V2TakesTheTightestOfTheHierarchy) {
  file("proc/self/cgroup", "0::/user.slice/job\n");
  file("sys/fs/cgroup/user.slice/memory.max", "1000000\n");
  file("sys/fs/cgroup/user.slice/memory.current", "900000\n");
  file("sys/fs/cgroup/user.slice/job/memory.max", "400000\n");
  file("sys/fs/cgroup/user.slice/job/memory.current", "100000\n");
  file("sys/fs/cgroup/user.slice/cpu.max", "250000 100000\n");
  file("sys/fs/cgroup/user.slice/job/cpu.max", "max 100000\n");
  EXPECT_EQ(memory().limit, 400000u);
  EXPECT_EQ(memory().headroom, 100000u); // the parent's is smaller
  EXPECT_EQ(cpus(), 2.5);
}

TEST_F(Cgroup, V2WithoutALimit) {
  file("proc/self/cgroup", "0::/\n");
  file("sys/fs/cgroup/memory.max", "max\n");
  file("sys/fs/cgroup/cpu.max", "max 100000\n");
  EXPECT_EQ(memory().limit, 0u);
  EXPECT_EQ(cpus(), 0.0);
}

TEST_F(Cgroup, V1) {
  file("proc/self/cgroup", "5:cpu,cpuacct:/a\n4:memory:/a/b\n0::/\n");
  file("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  file("sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "5000\n");
  file("sys/fs/cgroup/memory/a/b/memory.usage_in_bytes", "6000\n");
  file("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  file("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "150000\n");
  file("sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(memory().limit, 5000u);
  EXPECT_EQ(memory().headroom, 0u);
  EXPECT_EQ(cpus(), 1.5);
}

TEST_F(Cgroup, InAContainerThePathMayBeTheHosts) {
  file("proc/self/cgroup", "4:memory:/docker/0123\n");
  file("sys/fs/cgroup/memory/memory.limit_in_bytes", "7000\n");
  file("sys/fs/cgroup/memory/memory.usage_in_bytes", "1000\n");
  EXPECT_EQ(memory().limit, 7000u);
  EXPECT_EQ(memory().headroom, 6000u);
}

TEST_F(Cgroup, APathThatClimbsOutIsNotFollowed) {
  file("proc/self/cgroup", "0::/../../x\n");
  file("sys/fs/cgroup/memory.max", "7000\n");
  EXPECT_EQ(memory().limit, 7000u);
}

TEST(Bandwidth, MeasuresSomethingAndReadsAllOfIt) {
  const Topology topology;
  for (const std::uint32_t threads : {1u, 3u}) {
    Team team(topology, threads);
    ReadBandwidth memory(team, 8 * mib + 1);
    EXPECT_GT(memory.measure(2), 0.0);
    EXPECT_GT(memory.measure(1), 0.0) << "again";
    EXPECT_THROW(memory.measure(0), Error);
    EXPECT_GT(ReadBandwidth(team, 64 * threads).measure(1), 0.0);
    EXPECT_THROW(ReadBandwidth(team, 64 * threads - 1), Error);
  }
}

} // namespace
} // namespace seacliff
