// What a job does while it trains: saves, commits, and retention after each.

#include <algorithm>
#include <iterator>

#include "common/digest.h"
#include "coordinator/attempt.h"
#include "coordinator/commit.h"
#include "tests/model/job.h"

namespace lockstep::model {

namespace {

constexpr int kMaxFailures = 3;  // checkpoint.max_failures

std::string to_texts(const std::set<CheckpointId>& ids) {
  std::string text;
  for (const auto& id : ids)
    text += (text.empty() ? "" : ", ") + to_text(id);
  return text.empty() ? "none" : text;
}

}  // namespace

// The three as worker/training_loop.cpp and the daemon have them.
void Job::save_or_warn(std::int64_t number, const CheckpointId& id) {
  try {
    save(number, id);
    failed_saves_ = 0;
  } catch (const Error& e) {
    if (e.code() != ErrorCode::kIo || ++failed_saves_ >= kMaxFailures) throw;
    world_.counts.add("saves that failed");
    world_.tell("  not saved: " + to_text(id));
  }
}

void Job::save_surely(std::int64_t number, const CheckpointId& id) {
  for (int failures = 1;; ++failures) {
    try {
      return save(number, id);
    } catch (const Error& e) {
      if (e.code() != ErrorCode::kIo || failures > kMaxFailures) throw;
      world_.counts.add("last saves that were tried again");
    }
  }
}

// After a save that failed. A job that slept while another took over may find its .partial swept:
// then that is the cause.
void Job::drop(const CheckpointId& id) {
  try {
    abandon_commit(files_, ledger_.store, id);
  } catch (const Error&) {  // NOLINT(bugprone-empty-catch): it is swept later
  }
  try {
    require_newest(files_, ledger_.store, attempt_);
  } catch (const Error& e) {
    if (e.code() == ErrorCode::kSuperseded) throw;
  }
}

void Job::save(std::int64_t number, const CheckpointId& id) {
  phase_ = Phase::kSave;
  saving_ = id;
  saved_ = {};
  if (const auto& parent = decided_.ruling.record.parent)
    saved_.start = {.parent = parent->checkpoint, .store = parent->store};
  saved_.finite = number < plan_.not_finite_from;
  saved_.metrics = plan_.metrics.at(static_cast<std::size_t>(number));
  try {
    begin_commit(files_, ledger_.store, id);
    const auto manifest = write_checkpoint(id);
    phase_ = Phase::kCommit;
    steps_.commit(files_, ledger_.store, manifest);
  } catch (const Error& e) {
    drop(id);
    if (e.code() == ErrorCode::kNotFound) throw Error(ErrorCode::kIo, e.what());
    throw;
  }
  committed_ = heartbeat_.last_committed = id.iteration;
  beat();
  acknowledge(id);
  tidy();
}

Manifest Job::write_checkpoint(const CheckpointId& id) {
  Manifest manifest;
  manifest.checkpoint = id;
  manifest.world_size = 1;
  manifest.finite = saved_.finite;
  manifest.metrics = saved_.metrics;
  manifest.tensors = {{"model.weight", Dtype::kF32, {kShardDataBytes / 4}}};
  manifest.partition = {{1, kShardDataBytes / 4}};
  manifest.parent = decided_.ruling.record.parent;
  manifest.data = {id.iteration * 10, 100, "data"};
  manifest.run = facts_.run.id;
  manifest.created = "2026-01-02T03:04:05Z";
  manifest.shards = {{shard_file({0, 1}), 0, std::string(32, '0')}};
  const std::vector<std::byte> data(kShardDataBytes, static_cast<std::byte>(id.iteration));
  const auto head = encode_shard_header(
      {id.attempt, id.iteration, 0, 1, expected_pieces(manifest, 0), {checksum64(data)}});
  const auto file = files_.create(partial_path(ledger_.store, id) + "/" + shard_file({0, 1}));
  file->append(std::as_bytes(std::span(head)));
  file->append(data);
  file->finish();
  manifest.shards = {{shard_file({0, 1}), head.size() + data.size(), digest128(head)}};
  return manifest;
}

// From here on it must never be lost; so nobody may have decided without seeing it.
void Job::acknowledge(const CheckpointId& id) {
  auto& known = ledger_.checkpoints.at(id);
  known.acknowledged = true;
  world_.counts.add("acknowledged commits");
  world_.tell("  committed " + to_text(id));
  for (const auto& [number, other] : ledger_.attempts)
    if (number > attempt_ && other.scanned && *other.scanned < known.visible)
      differs("acknowledged " + to_text(id) + ", but attempt " + std::to_string(number) +
              " had decided before it was there");
}

void Job::tidy() {
  phase_ = Phase::kTidy;
  const auto wakes = world_.wakes;
  const auto failures = failures_;
  try {
    const auto sleeps = sleeps_;
    // What one that is asleep or was killed has in trash may come back before it is looked for, or
    // after: till then it is no reason to let another go.
    auto facts = ledger_.facts(world_.disk);
    auto may_go = to_delete(facts, attempt_, plan_.keep, ledger_.pins);
    std::erase_if(facts.checkpoints, [&](const auto& checkpoint) {
      return ledger_.folder_of(world_.disk, checkpoint.first) != ledger_.place_of(checkpoint.first);
    });
    const auto going = to_delete(facts, attempt_, plan_.keep, ledger_.pins);
    may_go.insert(going.begin(), going.end());
    for (const auto& id : may_go)
      ledger_.checkpoints.at(id).may_go = true;
    const auto before = ledger_.present(world_.disk);
    retain();
    const auto after = ledger_.present(world_.disk);
    std::vector<CheckpointId> gone;
    std::set_difference(before.begin(), before.end(), after.begin(), after.end(),
                        std::back_inserter(gone));
    world_.counts.add("deletions", static_cast<std::int64_t>(gone.size()));
    for (const auto& id : gone)
      world_.tell("  deleted " + to_text(id));
    // One that has been superseded keeps still; the next look of its commit says why.
    const bool newest = ledger_.highest_on(world_.disk) <= attempt_;
    // A non-finite one that was damaged since is remembered as it was: it goes, or stays, by that.
    const bool remembers_well = steps_.retain || harmed_before_ == ledger_.harmed_not_finite();
    const bool undisturbed = failures == failures_ && wakes == world_.wakes && sleeps == sleeps_;
    if (newest && remembers_well && undisturbed &&
        std::set<CheckpointId>(gone.begin(), gone.end()) != going)
      differs("retention deleted other checkpoints than its rule says: " + to_texts(going) +
              " were to go");
  } catch (const Error& e) {
    // A warning in lockstep; the next look at attempts/ says why.
    if (ledger_.highest_on(world_.disk) <= attempt_) differs(std::string("retention: ") + e.what());
  }
}

void Job::retain() {
  RetentionRule rule{plan_.keep.last, plan_.keep.every, plan_.keep.best};
  steps_.rule(rule);
  if (steps_.retain) return steps_.retain(files_, ledger_.store, attempt_, rule);
  if (!retainer_) {
    retainer_.emplace(files_, ledger_.store, attempt_, rule, silence_);
    harmed_before_ = ledger_.harmed_not_finite();
  }
  retainer_->pass(committed_.value_or(-1));
}

}  // namespace lockstep::model
