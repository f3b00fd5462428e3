#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/log.h"
#include "coordinator/launch.h"
#include "coordinator/prune.h"
#include "coordinator/retainer.h"
#include "tests/model/gate.h"
#include "tests/model/world.h"

namespace lockstep::model {

// What a job is at. An operation's moment is its number within its phase, all saves together.
enum class Phase : std::uint8_t {
  kLook,
  kClaim,
  kDecide,
  kLoad,
  kTrain,
  kSave,
  kCommit,
  kTidy,
  kDelete,
  kOutcome
};
constexpr std::size_t kPhases = 10;
const char* to_text(Phase phase);

struct Moment {
  Phase phase = Phase::kLook;
  std::int64_t operation = 1;

  friend bool operator==(const Moment&, const Moment&) = default;
};

// From a moment on operations fail, as on a file server that fails over: so many of them, on paths
// that hold `path_part`.
struct Trouble {
  Moment at;
  std::int64_t operations = 1;
  std::string path_part;
  bool done_all_the_same = false;  // a rename whose answer was lost
};

enum class End : std::uint8_t { kDies, kFinishes, kIsPreempted, kStops, kFails };

// What one job will do, and what will befall it.
struct Plan {
  Launch launch;
  bool elsewhere = false;  // on the other store
  bool run_is_stable = true;
  Keep keep;
  std::int64_t interval = 10;
  std::int64_t saves = 2;
  bool iterates = true;                      // false: it ends before it has completed one iteration
  std::int64_t not_finite_from = INT64_MAX;  // the save from which on the tensors hold NaN
  std::vector<std::map<std::string, double>> metrics;  // of each save
  End end = End::kFinishes;
  int exit_code = 0;
  std::optional<Moment> crash_at;  // right before this operation
  bool crash_is_power_cut = false;
  std::optional<Trouble> trouble;
  std::optional<Moment> sleep_at;
  bool beats_asleep = false;
  std::vector<std::int64_t> wakes_at;  // before which of its operations it lets sleepers run
};

// The steps that a wrong lockstep would do otherwise; by default the real ones.
struct Steps {
  std::function<LaunchFacts(LaunchFacts)> facts = [](LaunchFacts real) { return real; };
  std::function<Decided(FileSystem&, const LaunchFacts&, std::int64_t, const Decided& trial)>
      decide = [](FileSystem& files, const LaunchFacts& launch, std::int64_t attempt,
                  const Decided& trial) {
        return decide_claimed(files, launch, attempt, steady_clock(), trial.store);
      };
  std::function<DecisionRecord(const DecisionRecord& of_rank_0, const Decided& trial)> other_rank =
      [](const DecisionRecord& of_rank_0, const Decided&) { return of_rank_0; };
  std::function<void(FileSystem&, const std::string&, const Manifest&)> commit;
  std::function<std::vector<Deletion>(const FileSystem&, const std::string&, StoreView&,
                                      const PruneRequest&)>
      prune = look_at_pruned;
  std::function<void(RetentionRule&)> rule = [](RetentionRule&) {};
  // In place of the job's Retainer.
  std::function<void(FileSystem&, const std::string&, std::int64_t, const RetentionRule&)> retain;
  Steps();
};

// One launch, from the first look to the outcome: lockstep's own functions in the order in which
// rank 0 calls them, each answer compared with the reference.
class Job {
 public:
  // `sleep` is called before each operation; without it the job is awake and lets sleepers run.
  using Sleep = std::function<void(const Moment&)>;
  Job(World& world, const Plan& plan, const Steps& steps, Sleep sleep = {});

  void run();
  std::int64_t attempt() const { return attempt_; }  // 0: none claimed yet
  const Plan& plan() const { return plan_; }
  const Ledger& ledger() const { return ledger_; }
  bool crashed() const { return crashed_; }
  void note_sleep();
  // Another's heartbeat thread, as far as those who watch can tell.
  void beat_from_outside();

 private:
  void before(const Operation& operation);
  void note(const Operation& operation);
  void fail(const Operation& operation);
  void let_a_sleeper_run(std::int64_t operations);
  Clock clock();

  void launch();
  std::optional<Decided> look();
  void require_stopped(std::int64_t attempt);
  bool claim(Decided& trial);
  bool settle(const Decided& trial);
  bool take(Decided decided);
  bool load();
  Examined examine_chosen(const Chosen& chosen);
  bool source_has_moved(const Chosen& chosen) const;
  void train();
  void save_or_warn(std::int64_t number, const CheckpointId& id);
  void save_surely(std::int64_t number, const CheckpointId& id);
  void save(std::int64_t number, const CheckpointId& id);
  void drop(const CheckpointId& id);
  Manifest write_checkpoint(const CheckpointId& id);
  void acknowledge(const CheckpointId& id);
  void tidy();
  void retain();
  void beat();
  void close(OutcomeKind kind, int exit_code);
  void close_after(const Error& error);

  // Calls, and compares what it chose or threw with what the reference allows: more than one
  // thing where sleepers ran meanwhile. Gives what was thrown. nullopt: there is nothing to
  // compare.
  std::optional<Error> expect(Phase phase, const std::function<std::optional<Choice>()>& call);
  Choice expected_now() const;
  std::optional<Choice> beside_a_live_one(const Facts& facts) const;
  Choice in_use_by(const Launch& other) const;
  void count_choice(const Choice& chosen);
  void differs(const std::string& what);

  World& world_;
  const Plan plan_;
  const Steps& steps_;
  Sleep sleep_;
  Ledger& ledger_;
  GatedFileSystem files_;
  LaunchFacts facts_;
  Phase phase_ = Phase::kLook;
  std::array<std::int64_t, kPhases> in_phase_{};  // operations
  const char* operation_ = "";
  std::int64_t operations_ = 0;
  std::int64_t sleeps_ = 0;
  std::int64_t in_trouble_ = 0;  // operations that are still to fail
  std::int64_t failures_ = 0;    // operations that have failed
  int failed_saves_ = 0;         // in a row
  std::int64_t attempt_ = 0;
  bool crashed_ = false;
  bool dead_ = false;  // and does not know it yet
  bool training_ = false;
  Log silence_{LogConfig{}, false};
  std::optional<Retainer> retainer_;
  std::set<CheckpointId> harmed_before_;    // the first pass of retainer_, which remembers
  std::vector<Choice>* allowed_ = nullptr;  // while `expect` calls
  Decided decided_;
  std::uint64_t undisturbed_ = 0;  // World::wakes when it began to decide
  std::optional<CheckpointId> start_;
  std::set<CheckpointId> found_damaged_;  // by a load
  std::set<CheckpointId> found_damaged_elsewhere_;
  std::optional<std::int64_t> committed_;
  std::optional<CheckpointId> saving_;
  KnownCheckpoint saved_;  // what is known of it, before it is there
  Heartbeat heartbeat_;
};

}  // namespace lockstep::model
