// The topology. To add a test: describe a machine in hwloc's synthetic notation and state what Sea Cliff must make of
// it; tests of the machine that runs them may only check what holds everywhere.
#include "core/base/status.hpp"
#include "core/topology/topology.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace seacliff {
namespace {

using Cpus = std::vector<std::uint32_t>;

// First logical CPU of every worker of a team of n.
Cpus mapping(const Topology& topology, std::uint32_t n) {
  Cpus result;
  for (std::uint32_t i = 0; i < n; ++i) {
    const Cpus cpus = topology.cpus_of_worker(i, n);
    if (cpus.size() == 1) result.push_back(cpus[0]);
  }
  return result;
}

TEST(Topology, SyntheticMachine) {
  const Topology topology("numa:2 core:4 pu:2");
  EXPECT_TRUE(topology.synthetic());
  EXPECT_EQ(topology.physical_cores(), 8u);
  EXPECT_EQ(topology.logical_cpus(), 16u);
  EXPECT_EQ(topology.numa_nodes(), 2u);
  EXPECT_EQ(topology.default_workers(), 8u);
  EXPECT_GT(topology.memory_total(), 0u);
  EXPECT_EQ(topology.memory_available(), topology.memory_total());
}

TEST(Topology, Summary) {
  EXPECT_EQ(Topology("numa:2(memory=34359738368) core:4 pu:2").summary(), "8 cores, 2 NUMA nodes, 64.0 GiB");
  EXPECT_EQ(Topology("numa:1(memory=1073741824) core:1 pu:1").summary(), "1 core, 1 NUMA node, 1.0 GiB");
}

TEST(Topology, OneWorkerPerCoreOnItsFirstCpu) {
  const Topology topology("numa:2 core:4 pu:2");
  EXPECT_EQ(mapping(topology, 8), (Cpus{0, 2, 4, 6, 8, 10, 12, 14}));
}

TEST(Topology, FewerWorkersSpreadOverTheNodes) {
  const Topology topology("numa:2 core:4 pu:2");
  EXPECT_EQ(mapping(topology, 1), (Cpus{0}));
  EXPECT_EQ(mapping(topology, 2), (Cpus{0, 8}));
  EXPECT_EQ(mapping(topology, 4), (Cpus{0, 4, 8, 12}));
  std::vector<std::uint32_t> per_node(2);
  for (std::uint32_t i = 0; i < 6; ++i) ++per_node.at(topology.node_of_worker(i, 6));
  EXPECT_EQ(per_node, (std::vector<std::uint32_t>{3, 3}));
}

TEST(Topology, WorkersOfANodeAreNeighbours) {
  const Topology topology("numa:4 core:6 pu:1");
  for (std::uint32_t n = 1; n <= 24; ++n) {
    for (std::uint32_t i = 1; i < n; ++i) {
      EXPECT_LE(topology.node_of_worker(i - 1, n), topology.node_of_worker(i, n)) << i << " of " << n;
    }
  }
}

TEST(Topology, NoTwoWorkersShareACpuWhileThereAreEnough) {
  for (const char* machine : {"numa:2 core:4 pu:2", "numa:1 core:3 pu:4", "numa:3 core:5 pu:1"}) {
    const Topology topology(machine);
    for (std::uint32_t n = 1; n <= topology.logical_cpus(); ++n) {
      const Cpus cpus = mapping(topology, n);
      EXPECT_EQ(cpus.size(), n) << machine;
      EXPECT_EQ(std::set<std::uint32_t>(cpus.begin(), cpus.end()).size(), n) << machine;
    }
  }
}

TEST(Topology, MoreWorkersThanCpusAreNotBound) {
  const Topology topology("numa:1 core:2 pu:2");
  EXPECT_EQ(mapping(topology, 4), (Cpus{0, 1, 2, 3}));
  for (std::uint32_t i = 0; i < 5; ++i) EXPECT_TRUE(topology.cpus_of_worker(i, 5).empty());
}

TEST(Topology, AWorkerOutsideTheTeamIsAnError) {
  const Topology topology("numa:1 core:2 pu:1");
  EXPECT_THROW(topology.cpus_of_worker(2, 2), Error);
  EXPECT_THROW(topology.cpus_of_worker(0, 0), Error);
}

TEST(Topology, ABadDescriptionIsNamed) {
  for (const char* bad : {"core:banana", "/no/such/file.xml", "numa:", SEACLIFF_SOURCE_DIR "/CMakeLists.txt"}) {
    try {
      const Topology topology(bad);
      FAIL() << bad;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::invalid_argument);
      EXPECT_NE(std::string(error.what()).find(bad), std::string::npos) << error.what();
    }
  }
}

TEST(Topology, ThisMachine) {
  const Topology topology;
  EXPECT_FALSE(topology.synthetic());
  EXPECT_GE(topology.physical_cores(), 1u);
  EXPECT_GE(topology.logical_cpus(), topology.physical_cores());
  EXPECT_GE(topology.default_workers(), 1u);
  EXPECT_LE(topology.default_workers(), topology.physical_cores());
  EXPECT_GT(topology.memory_total(), std::uint64_t{64} << 20);
  EXPECT_LE(topology.memory_available(), topology.memory_total());
  EXPECT_EQ(mapping(topology, topology.physical_cores()).size(), topology.physical_cores());
}

TEST(Topology, SyntheticCpusAreNotBound) {
  const Topology topology("numa:1 core:2 pu:1");
  EXPECT_FALSE(topology.bind_thread({0}));
  EXPECT_FALSE(Topology().bind_thread({}));
}

} // namespace
} // namespace seacliff
