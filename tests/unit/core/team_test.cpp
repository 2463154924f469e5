// The worker team. To add a test: make a Topology and a Team, run something whose result is wrong when a worker is
// missing, doubled or early, and compare with the serial result. Never judge time.
#include "core/base/status.hpp"
#include "core/topology/team.hpp"
#include "core/topology/topology.hpp"

#include <gtest/gtest.h>

#include <sched.h>

#include <atomic>
#include <cstdint>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

namespace seacliff {
namespace {

class TeamOfN : public ::testing::TestWithParam<std::uint32_t> {
protected:
  Topology topology_;
  Team team_{topology_, GetParam()};
};

// Each round every worker adds its left neighbour's value of the round before: a missed barrier gives other numbers.
struct Relay {
  std::uint32_t rounds;
  std::vector<std::uint64_t> values[2];

  static void run(void* arg, scf_worker* worker) {
    Relay& relay = *static_cast<Relay*>(arg);
    const std::uint32_t left = (worker->index + worker->count - 1) % worker->count;
    for (std::uint32_t round = 0; round < relay.rounds; ++round) {
      const auto& from = relay.values[round % 2];
      relay.values[(round + 1) % 2][worker->index] = from[worker->index] * 3 + from[left] + round;
      Team::barrier(worker);
    }
  }
  static std::vector<std::uint64_t> serial(std::uint32_t count, std::uint32_t rounds) {
    std::vector<std::uint64_t> now(count), next(count);
    std::iota(now.begin(), now.end(), std::uint64_t{1});
    for (std::uint32_t round = 0; round < rounds; ++round) {
      for (std::uint32_t i = 0; i < count; ++i) next[i] = now[i] * 3 + now[(i + count - 1) % count] + round;
      now.swap(next);
    }
    return now;
  }
};

TEST_P(TeamOfN, BarrierSeparatesPhases) {
  const std::uint32_t count = team_.size();
  Relay relay{GetParam() > topology_.physical_cores() ? 500u : 5000u, {}};
  relay.values[0].resize(count);
  relay.values[1].resize(count);
  std::iota(relay.values[0].begin(), relay.values[0].end(), std::uint64_t{1});
  team_.run(Relay::run, &relay);
  EXPECT_EQ(relay.values[relay.rounds % 2], Relay::serial(count, relay.rounds));
}

TEST_P(TeamOfN, EveryWorkerRunsOncePerRun) {
  std::vector<std::uint32_t> calls(team_.size());
  const std::uint32_t runs = 2000;
  for (std::uint32_t i = 0; i < runs; ++i) {
    team_.run([](void* arg, scf_worker* w) { ++(*static_cast<std::vector<std::uint32_t>*>(arg))[w->index]; }, &calls);
  }
  EXPECT_EQ(calls, std::vector<std::uint32_t>(team_.size(), runs));
}

TEST_P(TeamOfN, CallerSeesWhatWorkersWroteAndTheOtherWayRound) {
  std::vector<std::uint64_t> data(team_.size());
  for (std::uint64_t round = 0; round < 500; ++round) {
    for (auto& value : data) value += round;
    team_.parallel([&](std::uint32_t i, std::uint32_t) { data[i] = data[i] * 2 + i; });
  }
  std::vector<std::uint64_t> expected(team_.size());
  for (std::uint64_t i = 0; i < expected.size(); ++i) {
    for (std::uint64_t round = 0; round < 500; ++round) expected[i] = (expected[i] + round) * 2 + i;
  }
  EXPECT_EQ(data, expected);
}

TEST_P(TeamOfN, WakesAfterASleep) {
  std::atomic<std::uint32_t> calls{0};
  for (int i = 0; i < 3; ++i) {
    team_.parallel([&](std::uint32_t, std::uint32_t) { ++calls; });
    std::this_thread::sleep_for(std::chrono::milliseconds(15)); // longer than workers stay awake
  }
  EXPECT_EQ(calls.load(), 3 * team_.size());
}

TEST_P(TeamOfN, ASleepingBarrierWakes) {
  std::atomic<std::uint32_t> before{0}, wrong{0};
  struct Call {
    std::atomic<std::uint32_t>&before, &wrong;
  } call{before, wrong};
  team_.run(
      [](void* arg, scf_worker* worker) {
        Call& c = *static_cast<Call*>(arg);
        if (worker->index == 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));
        ++c.before;
        Team::barrier(worker);
        if (c.before != worker->count) ++c.wrong;
      },
      &call);
  EXPECT_EQ(wrong.load(), 0u);
}

TEST_P(TeamOfN, CallsFromSeveralThreadsQueueUp) {
  std::uint64_t sum = 0; // only worker 0 of a run touches it
  std::vector<std::thread> callers;
  for (int t = 0; t < 3; ++t) {
    callers.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        team_.parallel([&](std::uint32_t index, std::uint32_t) {
          if (index == 0) ++sum;
        });
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(sum, 600u);
}

TEST_P(TeamOfN, ARunInsideARunIsRefused) {
  std::atomic<std::uint32_t> refused{0};
  team_.parallel([&](std::uint32_t, std::uint32_t) {
    try {
      team_.parallel([](std::uint32_t, std::uint32_t) {});
    } catch (const Error& error) {
      if (error.code() == Code::failed_precondition) ++refused;
    }
  });
  EXPECT_EQ(refused.load(), team_.size());
}

TEST_P(TeamOfN, AnExceptionReachesTheCallerAndTheTeamGoesOn) {
  const std::uint32_t last = team_.size() - 1;
  EXPECT_THROW(team_.parallel([&](std::uint32_t i, std::uint32_t) {
    if (i == last) throw std::runtime_error("no");
  }),
               std::runtime_error);
  std::atomic<std::uint32_t> calls{0};
  team_.parallel([&](std::uint32_t, std::uint32_t) { ++calls; });
  EXPECT_EQ(calls.load(), team_.size());
}

INSTANTIATE_TEST_SUITE_P(Sizes, TeamOfN, ::testing::Values(1u, 2u, 3u, 4u, 9u));

TEST(Team, TheDefaultIsOneWorkerPerCore) {
  const Topology topology;
  const Team team(topology, 0);
  EXPECT_EQ(team.size(), topology.default_workers());
}

TEST(Team, WorkersKnowTheirPlace) {
  const Topology topology;
  Team team(topology, 3);
  std::vector<std::uint32_t> counts(3);
  team.parallel([&](std::uint32_t index, std::uint32_t count) { counts.at(index) = count; });
  EXPECT_EQ(counts, std::vector<std::uint32_t>(3, 3));
}

TEST(Team, ATeamInsideAnotherTeamsRunWorks) {
  const Topology topology;
  Team outer(topology, 2), inner(topology, 2);
  std::atomic<std::uint32_t> calls{0};
  outer.parallel([&](std::uint32_t, std::uint32_t) { inner.parallel([&](std::uint32_t, std::uint32_t) { ++calls; }); });
  EXPECT_EQ(calls.load(), 4u);
}

TEST(Team, TheCallerKeepsItsAffinity) {
  cpu_set_t before, after;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  const Topology topology;
  Team team(topology, 0);
  for (int i = 0; i < 100; ++i) team.parallel([](std::uint32_t, std::uint32_t) {});
  ASSERT_EQ(sched_getaffinity(0, sizeof after, &after), 0);
  EXPECT_TRUE(CPU_EQUAL(&before, &after));
}

TEST(Team, WorkersSitOnTheCpusOfTheTopology) {
  const Topology topology;
  Team team(topology, 0);
  std::vector<int> wrong(team.size());
  team.parallel([&](std::uint32_t index, std::uint32_t count) {
    const std::vector<std::uint32_t> cpus = topology.cpus_of_worker(index, count);
    cpu_set_t set;
    if (index == 0 || sched_getaffinity(0, sizeof set, &set) != 0) return;
    // A system that refuses to bind leaves the whole mask.
    if (CPU_COUNT(&set) == 1 && !CPU_ISSET(cpus.at(0), &set)) wrong[index] = 1;
  });
  EXPECT_EQ(std::accumulate(wrong.begin(), wrong.end(), 0), 0);
}

TEST(Team, ASyntheticTopologyBindsNothing) {
  const Topology topology("numa:2 core:2 pu:1");
  Team team(topology, 0);
  std::atomic<std::uint32_t> calls{0};
  team.parallel([&](std::uint32_t, std::uint32_t) { ++calls; });
  EXPECT_EQ(calls.load(), 4u);
}

TEST(Team, AnAbsurdNumberOfThreadsIsRefused) {
  const Topology topology;
  try {
    const Team team(topology, 1u << 20);
    FAIL() << "made a team of a million";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::invalid_argument);
  }
}

} // namespace
} // namespace seacliff
