#include "coordinator/daemon/launch_facts.h"

#include <algorithm>

#include "coordinator/attempt.h"
#include "coordinator/launch.h"
#include "coordinator/liveness.h"

namespace lockstep {

namespace {

std::vector<std::int64_t> ranks_per_node(const std::vector<std::string>& hosts) {
  std::vector<std::int64_t> counts;
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    if (i == 0 || hosts[i] != hosts[i - 1]) counts.push_back(0);
    ++counts.back();
  }
  return counts;
}

std::vector<std::string> distinct(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace

std::pair<LaunchFacts, Claim> describe_launch(const LoadedConfig& loaded,
                                              const std::vector<std::string>& hosts,
                                              const std::string& build,
                                              const Environment& environment) {
  const auto& config = loaded.config;
  auto launch = facts_of(loaded, environment);
  launch.world_size = static_cast<std::int64_t>(hosts.size());
  launch.hosts = distinct(hosts);
  launch.build = build;

  Claim claim;
  claim.run = launch.run.id;
  claim.request = canonical_json(config.restore);
  claim.job = launch.run.job;
  claim.restart_count = launch.run.restart_count;
  claim.process = this_process();
  claim.world_size = static_cast<std::int64_t>(hosts.size());
  claim.ranks_per_node = ranks_per_node(hosts);
  claim.hosts = launch.hosts;
  claim.build = build;
  claim.config = launch.config;
  claim.config_digest = launch.config_digest;
  claim.heartbeat_seconds = config.watchdog.heartbeat_seconds;
  claim.grace_seconds = static_cast<double>(config.preempt.grace_seconds);
  claim.stall_seconds = config.watchdog.stall_seconds;
  claim.nonce = random_hex(32);
  claim.created = wall_clock_text();
  return {std::move(launch), std::move(claim)};
}

}  // namespace lockstep
