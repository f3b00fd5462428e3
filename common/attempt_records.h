#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep {

// The small files of an attempt. All are sealed by a digest (strict_json.h); parsers throw
// Error(kDamaged) whose text starts with `what`.

// A process, so that another job on the same host can see that it is gone.
struct ProcessId {
  std::string host;
  std::string boot_id;        // /proc/sys/kernel/random/boot_id
  std::string pid_namespace;  // readlink /proc/self/ns/pid
  std::int64_t pid = 0;
  std::int64_t start_time = 0;  // clock ticks since boot, field 22 of /proc/PID/stat

  friend bool operator==(const ProcessId&, const ProcessId&) = default;
};

// store.json
struct StoreRecord {
  std::int64_t format_version = 1;
  std::string id;  // 32 hex digits
};

// claim.json: who made the attempt.
struct Claim {
  std::string run;
  std::string request = "{}";  // canonical_json(Request)
  std::string store_id;
  std::optional<std::string> job;  // Slurm's job id, arrays JOB_TASK
  std::int64_t restart_count = 0;  // SLURM_RESTART_COUNT
  ProcessId process;
  std::int64_t world_size = 0;
  std::vector<std::int64_t> ranks_per_node;
  std::vector<std::string> hosts;
  std::string build;
  std::string config = "{}";  // canonical JSON; an object in the file
  std::string config_digest;
  double heartbeat_seconds = 5;
  double grace_seconds = 60;
  double stall_seconds = 300;
  std::optional<std::int64_t> deadline;  // seconds since the epoch; for people
  std::string nonce;                     // 32 hex digits
  std::string created;                   // RFC 3339, UTC; for people
};

enum class OutcomeKind : std::uint8_t {
  kFinished,
  kPreempted,
  kStopped,
  kFailed,
  kRefused,
  kSuperseded
};

struct SilentRank {
  std::int64_t rank = 0;
  std::string host;
  std::string phase;
};

// outcome.json: how the attempt ended.
struct Outcome {
  OutcomeKind outcome = OutcomeKind::kFailed;
  int exit_code = 3;
  std::optional<std::int64_t> last_committed_iteration;  // this attempt's
  std::optional<std::string> error;
  std::vector<SilentRank> silent;
  std::optional<double> save_seconds = {};  // what its last save took
};

// heartbeat: one line of fixed size, overwritten in place, not sealed.
struct Heartbeat {
  std::int64_t counter = 0;
  std::int64_t iteration = 0;
  std::optional<std::int64_t> last_committed;

  friend bool operator==(const Heartbeat&, const Heartbeat&) = default;
};
constexpr std::size_t kHeartbeatBytes = 96;

std::string to_text(OutcomeKind kind);  // "finished"

std::string encode(const StoreRecord& record);
StoreRecord parse_store_record(std::string_view text, std::string_view what);
std::string encode(const Claim& claim);
Claim parse_claim(std::string_view text, std::string_view what);
std::string encode(const Outcome& outcome);
Outcome parse_outcome(std::string_view text, std::string_view what);
// "counter %20d iteration %20d committed %20d|-", padded with spaces, "\n": kHeartbeatBytes in all.
// The reader takes any number of digits and spaces. nullopt: torn or foreign, to be read again.
std::string encode(const Heartbeat& heartbeat);
std::optional<Heartbeat> parse_heartbeat(std::string_view text);

}  // namespace lockstep
