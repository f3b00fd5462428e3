#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/config.h"
#include "common/file_system.h"
#include "common/log.h"
#include "coordinator/daemon/shared_decision.h"
#include "coordinator/daemon/supervision.h"
#include "coordinator/heartbeat.h"
#include "coordinator/launch.h"
#include "coordinator/metrics_log.h"
#include "coordinator/requests.h"
#include "coordinator/retention_worker.h"
#include "coordinator/status/service.h"
#include "worker/checkpoint.h"
#include "worker/training_loop.h"

namespace lockstep {

// Thrown where rank 0 waits for another launch's end, and a stop signal or the deadline comes.
struct StoppedWaiting {
  int signal = 0;  // 0: the deadline
};

// Rank 0's part of a job, from the first look at the store to outcome.json. Local: every member
// runs on rank 0 only, inside root_decides, or after the last collective.
class Root {
 public:
  Root(FileSystem& files, const LoadedConfig& loaded, const Log& log, LaunchFacts launch,
       Claim claim, RunsOn retention_runs_on,
       std::function<std::optional<StoppedWaiting>()> stops_waiting);

  // Where it says how far the attempt is, for the watchdog.
  void keep_note(std::shared_ptr<AttemptNote> note) { note_ = std::move(note); }

  // Where it says how the attempt is getting on, for people: shows_status() only.
  void show_figures(JobBoard& figures) { figures_ = &figures; }

  // Steps 1 and 2. An error is thrown, StoppedWaiting and StoppedOnRequest too; `finished` is
  // returned and nothing is written.
  DecisionRecord look();
  // Steps 3 and 4: claims, and decides what counts. The encoded SharedDecision. Throws as look()
  // does: it looks again where another launch takes the number first.
  std::string claim();
  // After a load that found the decided checkpoint damaged: the next SharedDecision, or an error.
  std::string decide_again(const std::string& cause);
  // For --evaluate, in place of the steps above: decides beside whatever runs on the store, claims
  // and writes nothing.
  std::string preview();

  // What only the task and the machine know, for the reasons of a decision; before claim().
  void describe(const DataPosition& data, const std::map<std::string, std::string>& environment);

  // The steps of a save (worker/checkpoint.h) of so many bytes, for this attempt.
  CommitSteps commit_steps(std::uint64_t checkpoint_bytes);
  // How the last one that was committed was written (Manifest::engine).
  const std::string& engine() const { return engine_; }
  bool saved_finite() const { return saved_finite_; }  // the last commit
  // Error(kSuperseded) where another attempt has claimed the store; what can't be seen is no error.
  void require_newest() const;
  // After an acknowledged commit: retention may begin, beside training.
  void tidy();

  // Training begins there: metrics.jsonl does, and TensorBoard's event file where it is asked for.
  void begin_metrics(std::int64_t iteration, std::int64_t position);
  void note(const Progress& progress);
  // Once metrics were begun; never wait for the store.
  void note(const Interval& interval);
  void note(const Evaluation& evaluation);
  void note_save_begun(std::int64_t iteration);
  // What a save took. A warning where preempt.grace_seconds leaves less.
  void note_save(const SaveFact& save);
  void note_failed_save();
  // What a save took where this attempt carries on from, if that attempt said so; the same warning.
  std::optional<double> expect_save();
  // Whether a person has asked for it since the last call.
  bool asked_for(Asked asked) { return requests_.take(asked); }
  // The newest checkpoint that is finite and that this attempt's lineage holds.
  std::optional<CheckpointId> last_finite() const { return last_finite_; }
  bool claimed() const { return claimed_.has_value(); }
  // Ends metrics and retention, then writes outcome.json where the attempt was claimed; a failure
  // to write is a warning.
  void close(OutcomeKind kind, int exit_code, const std::optional<std::string>& error);

 private:
  Clock patient_clock();
  std::string share();
  void share_checkpoint(const Chosen& chosen, SharedDecision& shared);
  void say_decision() const;
  void look_for_requests();
  void require_own_store() const;  // require_same_store
  bool is_own_store() const;
  std::optional<EventFile> event_file(const MetricsOrigin& origin) const;
  void compare_with_grace(double seconds, const std::string& what);

  FileSystem& files_;
  const LoadedConfig& loaded_;
  const Log& log_;
  LaunchFacts launch_;
  Claim claim_;
  std::optional<Claimed> claimed_;
  Decided decided_;
  RunsOn retention_runs_on_;
  std::function<std::optional<StoppedWaiting>()> stops_waiting_;
  std::shared_ptr<AttemptNote> note_ = std::make_shared<AttemptNote>();
  RequestBox requests_;
  std::unique_ptr<HeartbeatWriter> heartbeat_;  // whose thread fills the box
  std::unique_ptr<RetentionWorker> retention_;
  std::unique_ptr<MetricsLog> metrics_;
  JobBoard* figures_ = nullptr;
  std::unique_ptr<StatusService> status_;
  // These three by commit's thread, where it has one; read when it is through.
  std::optional<std::int64_t> last_committed_;
  bool saved_finite_ = true;
  std::string engine_;
  std::optional<CheckpointId> last_finite_;
  std::optional<double> save_seconds_;
  bool warned_of_grace_ = false;
  bool beaten_ = false;
  bool heartbeat_failing_ = false;
  bool requests_failing_ = false;  // the heartbeat's thread's
};

}  // namespace lockstep
