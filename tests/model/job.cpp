#include "tests/model/job.h"

#include <algorithm>
#include <cstdlib>

#include "coordinator/attempt.h"
#include "coordinator/catalog.h"
#include "coordinator/commit.h"
#include "coordinator/source.h"
#include "tests/model/elsewhere.h"
#include "tests/model/sleeper.h"

namespace lockstep::model {

namespace {

LaunchFacts facts_of(const Plan& plan, const std::string& store) {
  const auto& launch = plan.launch;
  LaunchFacts facts;
  facts.request = launch.request;
  facts.run = {launch.run, plan.run_is_stable, launch.run_from_slurm, launch.job,
               launch.restart_count};
  facts.max_iterations = launch.max_iterations;
  facts.keep_best = launch.keep_best;
  facts.store_path = store;
  facts.from_path = launch.request.from;
  facts.world_size = 1;
  facts.hosts = {"n1"};
  facts.build = "b";
  facts.config_digest = std::to_string(launch.config);
  return facts;
}

Claim claim_of(const LaunchFacts& facts) {
  Claim claim;
  claim.run = facts.run.id;
  claim.request = canonical_json(facts.request);
  claim.job = facts.run.job;
  claim.restart_count = facts.run.restart_count;
  claim.process.host = "n1";
  claim.process.boot_id = "another";  // so that nobody looks for its process here
  claim.world_size = facts.world_size;
  claim.hosts = facts.hosts;
  claim.build = facts.build;
  claim.config_digest = facts.config_digest;
  claim.heartbeat_seconds = 1;
  claim.grace_seconds = 1;
  claim.stall_seconds = 1;
  claim.nonce = std::string(32, '0');
  return claim;
}

Choice choice_of(const Ruling& ruling) {
  const auto& record = ruling.record;
  Choice choice;
  choice.kind = static_cast<Choice::Kind>(record.kind);
  choice.code = ruling.code;
  if (choice.kind == Choice::Kind::kError) return choice;
  if (record.parent) choice.parent = record.parent->checkpoint;
  if (record.parent) choice.store = record.parent->store;
  choice.source = record.source;
  choice.applied = {ruling.selection.model_only, ruling.selection.exclude, ruling.skip_samples};
  return choice;
}
static_assert(static_cast<int>(Choice::Kind::kFresh) == static_cast<int>(DecisionKind::kFresh));
static_assert(static_cast<int>(Choice::Kind::kRestore) == static_cast<int>(DecisionKind::kRestore));
static_assert(static_cast<int>(Choice::Kind::kFinished) ==
              static_cast<int>(DecisionKind::kFinished));
static_assert(static_cast<int>(Choice::Kind::kError) == static_cast<int>(DecisionKind::kError));

}  // namespace

const char* to_text(Phase phase) {
  constexpr std::array<const char*, kPhases> kNames = {
      "look", "claim", "decide", "load", "train", "save", "commit", "tidy", "delete", "outcome"};
  return kNames[static_cast<std::size_t>(phase)];
}

Steps::Steps() : commit(lockstep::commit) {}

Job::Job(World& world, const Plan& plan, const Steps& steps, Sleep sleep)
    : world_(world),
      plan_(plan),
      steps_(steps),
      sleep_(std::move(sleep)),
      ledger_(plan.elsewhere ? world.other : world.ledger),
      files_(world.disk, [this](const Operation& operation) { before(operation); }),
      facts_(steps.facts(facts_of(plan, ledger_.store))) {}

void Job::run() {
  try {
    try {
      launch();
    } catch (const Error& e) {
      close_after(e);
    }
  } catch (const Crash&) {
    crashed_ = true;
    world_.counts.add(std::string("crashes: ") + to_text(phase_) + ", before " + operation_);
    world_.tell("  crashed in " + std::string(to_text(phase_)) + " before " + operation_);
  }
}

void Job::launch() {
  auto trial = look();
  if (!trial || !claim(*trial) || !settle(*trial) || !load()) return;
  train();
}

std::optional<Decided> Job::look() {
  std::optional<Decided> trial;
  std::optional<std::int64_t> stopped;
  expect(Phase::kLook, [&]() -> std::optional<Choice> {
    try {
      trial = look_and_try(files_, facts_, clock(), {}, [](const std::string&) {});
    } catch (const StoppedOnRequest& request) {
      stopped = request.attempt;
      return std::nullopt;
    }
    return choice_of(trial->ruling);
  });
  if (stopped) require_stopped(*stopped);
  const bool ends = trial && trial->ruling.record.kind != DecisionKind::kFresh &&
                    trial->ruling.record.kind != DecisionKind::kRestore;
  if (ends) trial.reset();
  return trial;
}

// Only what was asked to stop, and is of the same run or Slurm job, stops a launch that waits for
// it.
void Job::require_stopped(std::int64_t attempt) {
  const auto folder = ledger_.attempt_path_of(attempt);
  const auto read = [&](const std::string& file) {
    return read_small_file(world_.disk, folder + file);
  };
  const auto claim = parse_claim(read("/claim.json"), "claim.json");
  const bool of_this_job = facts_.run.job && claim.job == facts_.run.job;
  if (parse_outcome(read("/outcome.json"), "outcome.json").outcome != OutcomeKind::kStopped ||
      (claim.run != facts_.run.id && !of_this_job))
    differs("ended by a stop of attempt " + std::to_string(attempt) + ", which was not meant");
  world_.counts.add("launches ended by a stop of what they waited for");
}

bool Job::claim(Decided& trial) {
  for (auto number = trial.store.highest_attempt() + 1;;) {
    phase_ = Phase::kClaim;
    if (claim_next(files_, facts_, trial.store, number, claim_of(facts_))) {
      attempt_ = number;
      break;
    }
    bool ended = false;
    number = number_after(files_, facts_, number, clock(), [&] {
      auto again = look();
      ended = !again;
      if (again) trial = std::move(*again);
      return ended ? number : trial.store.highest_attempt();
    });
    if (ended) return false;
  }
  ledger_.attempts.at(attempt_).acknowledged = true;
  world_.counts.add("claims");
  beat();
  return true;
}

bool Job::settle(const Decided& trial) {
  const auto wakes = world_.wakes;
  const auto error = expect(Phase::kDecide, [&] {
    decided_ = steps_.decide(files_, facts_, attempt_, trial);
    return choice_of(decided_.ruling);
  });
  if (error) {
    close_after(*error);
    return false;
  }
  const auto& record = decided_.ruling.record;
  if (steps_.other_rank(record, trial).parent != record.parent)
    differs("another rank restores another checkpoint");
  // Whoever gave one of these up has lost the right to delete it: this attempt counts on them.
  if (ledger_.highest_on(world_.disk) == attempt_)
    for (const auto& [id, fact] : ledger_.facts(world_.disk).checkpoints)
      if (ledger_.is_whole(world_.disk, id)) ledger_.checkpoints.at(id).may_go = false;
  undisturbed_ = wakes;
  return take(std::move(decided_));
}

// Whether there is something to train, and from where.
bool Job::take(Decided decided) {
  decided_ = std::move(decided);
  const auto& record = decided_.ruling.record;
  if (record.kind == DecisionKind::kFresh || record.kind == DecisionKind::kRestore) {
    start_.reset();
    if (record.parent) start_ = record.parent->checkpoint;
    return true;
  }
  close(OutcomeKind::kRefused, record.exit_code);
  return false;
}

bool Job::load() {
  while (const auto chosen = decided_.ruling.chosen) {
    phase_ = Phase::kLoad;
    const auto found = examine_chosen(*chosen);
    if (found.state != CheckpointState::kDamaged) return true;
    // A sleeper had it in trash for a moment: missing proves nothing of what is whole.
    const bool is_back = !chosen->in_source && found.why.ends_with("missing") &&
                         ledger_.is_whole(world_.disk, chosen->id);
    if (is_back) world_.counts.add("loads that missed what was in trash for a moment");
    if (!is_back && !chosen->in_source && ledger_.is_whole(world_.disk, chosen->id) &&
        ledger_.highest_on(world_.disk) == attempt_)
      differs(to_text(chosen->id) + " is whole and was judged damaged: " + found.why);
    world_.counts.add("loads that found damage");
    if (!is_back && (!chosen->in_source || !source_has_moved(*chosen)))
      (chosen->in_source ? found_damaged_elsewhere_ : found_damaged_).insert(chosen->id);
    const auto error = expect(Phase::kDecide, [&] {
      decided_ = decide_again(files_, facts_, attempt_, std::move(decided_), found.why);
      return choice_of(decided_.ruling);
    });
    if (error) throw Error(*error);
    if (!take(std::move(decided_))) return false;
  }
  return true;
}

// As a load reads it: every byte, where it lies by the scan that it was chosen by.
Examined Job::examine_chosen(const Chosen& chosen) {
  if (!chosen.in_source) return examine(files_, ledger_.store, {chosen.id, {}, {}}, Depth::kBytes);
  const auto& source = *decided_.source;
  const auto found = examine(files_, source, *source.store.checkpoint(chosen.id), Depth::kBytes);
  if (found.state == CheckpointState::kDamaged && !source_has_moved(chosen) &&
      is_whole_on(world_, source.path, chosen.id))
    differs(to_text(chosen.id) + " of " + source.path +
            " is whole and was judged damaged: " + found.why);
  return found;
}

// Whether it no longer lies where it was seen: then a load has proven nothing.
bool Job::source_has_moved(const Chosen& chosen) const {
  const auto folder = folder_of(*decided_.source, chosen.id);
  const bool in_trash = folder.find("/.trash-") != std::string::npos;
  return !world_.disk.info(in_trash ? folder + "/manifest.json" : folder);
}

void Job::train() {
  training_ = true;
  phase_ = Phase::kTrain;
  auto iteration = start_ ? start_->iteration : 0;
  heartbeat_.iteration = iteration + 1;
  if (plan_.iterates) beat();
  const auto saves = plan_.iterates ? plan_.saves : 0;
  for (std::int64_t i = 0; i < saves && iteration < plan_.launch.max_iterations; ++i) {
    iteration = std::min(iteration + plan_.interval, plan_.launch.max_iterations);
    heartbeat_.iteration = iteration;
    const bool last = i + 1 == saves || iteration >= plan_.launch.max_iterations;
    last ? save_surely(i, {attempt_, iteration}) : save_or_warn(i, {attempt_, iteration});
  }
  phase_ = Phase::kTrain;
  if (plan_.end == End::kDies) throw Crash{};
  if (iteration >= plan_.launch.max_iterations) return close(OutcomeKind::kFinished, 0);
  if (plan_.end == End::kFails) return close(OutcomeKind::kFailed, plan_.exit_code);
  if (plan_.end == End::kIsPreempted) return close(OutcomeKind::kPreempted, 75);
  close(OutcomeKind::kStopped, 77);
}

void Job::beat() {
  ++heartbeat_.counter;
  try {
    files_.overwrite(ledger_.attempt_path_of(attempt_) + "/heartbeat", encode(heartbeat_));
  } catch (const Error&) {  // a warning in lockstep
    if (failures_ == 0) throw;
  }
}

void Job::close(OutcomeKind kind, int exit_code) {
  phase_ = Phase::kOutcome;
  const Outcome outcome{kind, exit_code, committed_, std::nullopt, {}};
  ledger_.attempts.at(attempt_).outcome = outcome;
  world_.tell("  ends " + lockstep::to_text(kind) + " " + std::to_string(exit_code));
  world_.counts.add("outcomes: " + lockstep::to_text(kind));
  try {
    write_outcome(files_, ledger_.store, attempt_, outcome);
  } catch (const Error& e) {  // a warning in lockstep
    if (failures_ == 0) differs(std::string("outcome.json: ") + e.what());
  }
}

void Job::close_after(const Error& error) {
  world_.tell(std::string("  error: ") + error.what());
  const bool superseded = attempt_ > 0 && ledger_.highest_on(world_.disk) > attempt_;
  // While it slept, or others ran, what it restores from may have gone.
  const bool source_went =
      plan_.launch.request.from && (sleeps_ > 0 || undisturbed_ != world_.wakes);
  const bool out_of_reach = failures_ > 0 && error.code() == ErrorCode::kIo;
  if (!superseded && !source_went && !out_of_reach)
    differs(std::string("an error that nothing explains: ") + error.what());
  if (attempt_ == 0) return;
  if (error.code() == ErrorCode::kSuperseded) return close(OutcomeKind::kSuperseded, 2);
  const auto code = error.code() == ErrorCode::kNotFound ? ErrorCode::kIo : error.code();
  close(training_ ? OutcomeKind::kFailed : OutcomeKind::kRefused, exit_code(code));
}

}  // namespace lockstep::model
