// What a job does beside its launch: its operations are counted, noted, paused and cut, and what it
// chose is compared.

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "common/digest.h"
#include "tests/model/elsewhere.h"
#include "tests/model/job.h"
#include "tests/model/sleeper.h"

namespace lockstep::model {

void Job::before(const Operation& operation) {
  if (crashed_ || dead_) throw Crash{};
  ++world_.now;
  ++operations_;
  operation_ = operation.name;
  // The rest of a tidying is scanning; deleting begins here.
  if (operation.path.find("/.trash-") != std::string::npos && phase_ == Phase::kTidy)
    phase_ = Phase::kDelete;
  const Moment moment{phase_, ++in_phase_[static_cast<std::size_t>(phase_)]};
  if (sleep_) {
    sleep_(moment);
  } else if (std::find(plan_.wakes_at.begin(), plan_.wakes_at.end(), operations_) !=
             plan_.wakes_at.end()) {
    let_a_sleeper_run(world_.random.percent(30) ? INT64_MAX : 1 + world_.random.below(12));
  }
  dead_ = moment == plan_.crash_at;
  if (dead_) throw Crash{};
  if (plan_.trouble && moment == plan_.trouble->at) in_trouble_ = plan_.trouble->operations;
  const bool fails =
      in_trouble_ > 0 && operation.path.find(plan_.trouble->path_part) != std::string::npos;
  if (fails) fail(operation);
  note(operation);
}

void Job::fail(const Operation& operation) {
  --in_trouble_;
  if (failures_++ == 0)
    world_.tell("  operations fail from " + std::string(to_text(phase_)) + ", " + operation.name +
                " " + operation.path + " on");
  world_.counts.add("operations that failed");
  if (plan_.trouble->done_all_the_same && std::strcmp(operation.name, "rename") == 0) {
    note(operation);
    world_.disk.rename(operation.from, operation.path);
  }
  throw Error(ErrorCode::kIo, "planted: " + operation.path);
}

void Job::note(const Operation& operation) {
  const auto is = [&](const char* name) { return std::strcmp(operation.name, name) == 0; };
  const auto attempts = ledger_.store + "/attempts/";
  if (is("claim_folder") && operation.path.starts_with(attempts) &&
      !world_.disk.info(operation.path)) {
    const auto number = std::strtoll(operation.path.c_str() + attempts.size(), nullptr, 10);
    if (const auto it = ledger_.attempts.find(number);
        it != ledger_.attempts.end() && it->second.acknowledged)
      differs("attempt number " + std::to_string(number) + " was used before");
    ledger_.attempts[number] = {plan_.launch, false, {}, {}, {}};
  }
  if (is("list") && operation.path == ledger_.store + "/checkpoints" && attempt_ > 0 && !training_)
    ledger_.attempts.at(attempt_).scanned = world_.now;
  if (is("rename") && saving_ && operation.path == ledger_.place_of(*saving_) &&
      operation.from == ledger_.partial_of(*saving_)) {
    auto known = saved_;
    known.visible = world_.now;
    for (const auto& entry : world_.disk.list(operation.from))
      known.files[entry.name] = *world_.disk.bytes(operation.from + "/" + entry.name);
    known.digest = digest128(known.files.at("manifest.json"));
    ledger_.checkpoints[*saving_] = std::move(known);
    if (ledger_.highest_on(world_.disk) > attempt_) world_.counts.add("late commits of sleepers");
  }
}

void Job::note_sleep() {
  ++sleeps_;
  world_.counts.add("pauses");
  world_.counts.add(std::string("pauses: ") + to_text(phase_) + ", before " + operation_);
  world_.tell("  sleeps in " + std::string(to_text(phase_)) + " before " + operation_);
}

void Job::beat_from_outside() {
  const auto path = ledger_.attempt_path_of(attempt_) + "/heartbeat";
  if (attempt_ == 0 || world_.disk.bytes(path) == nullptr) return;
  ++heartbeat_.counter;
  world_.disk.overwrite(path, encode(heartbeat_));
}

void Job::let_a_sleeper_run(std::int64_t operations) {
  if (world_.sleepers.empty()) return;
  auto& sleeper = *world_.random.pick(std::vector<Sleeper*>([&] {
    std::vector<Sleeper*> all;
    for (const auto& s : world_.sleepers)
      all.push_back(s.get());
    return all;
  }()));
  if (sleeper.ended()) return;
  ++world_.wakes;
  world_.counts.add("wakes");
  world_.tell("  meanwhile attempt " + std::to_string(sleeper.job().attempt()) + " runs:");
  sleeper.wake(operations);
  if (allowed_ == nullptr) return;
  allowed_->push_back(expected_now());
  // Its heartbeat may have gone on while this job watched it.
  if (attempt_ == 0 && &sleeper.job().ledger() == &ledger_)
    allowed_->push_back(in_use_by(sleeper.job().plan().launch));
}

// Time passes only here. Those whose heartbeat goes on are seen to be alive, and may come to their
// end meanwhile.
Clock Job::clock() {
  return {[this] { return static_cast<double>(world_.seconds); },
          [this](double seconds) {
            world_.seconds += seconds;
            for (const auto& sleeper : world_.sleepers)
              if (sleeper->job().plan().beats_asleep && &sleeper->job() != this) sleeper->beat();
            if (!sleep_ && world_.random.percent(5)) let_a_sleeper_run(INT64_MAX);
          }};
}

std::optional<Choice> Job::beside_a_live_one(const Facts& facts) const {
  std::int64_t newest = 0;
  for (const auto& [number, attempt] : facts.attempts)
    if (!attempt.refused) newest = number;
  if (newest == 0) return std::nullopt;
  for (const auto& sleeper : world_.sleepers) {
    const auto& other = sleeper->job();
    if (&other.ledger() != &ledger_ || other.attempt() != newest || &other == this ||
        sleeper->ended() || !other.plan().beats_asleep || facts.attempts.at(newest).exit_code ||
        world_.disk.bytes(ledger_.attempt_path_of(newest) + "/heartbeat") == nullptr)
      continue;
    const auto& theirs = other.plan().launch;
    const auto& mine = plan_.launch;
    if (mine.job && theirs.job == mine.job && theirs.restart_count < mine.restart_count)
      return std::nullopt;
    return in_use_by(theirs);
  }
  return std::nullopt;
}

Choice Job::in_use_by(const Launch& other) const {
  return {Choice::Kind::kError, std::nullopt,
          other.run == plan_.launch.run ? ErrorCode::kOwnRunAlive : ErrorCode::kInUse};
}

Choice Job::expected_now() const {
  auto facts = ledger_.facts(world_.disk,
                             attempt_ > 0 ? std::optional<std::int64_t>(attempt_) : std::nullopt);
  for (const auto& id : found_damaged_)
    if (const auto it = facts.checkpoints.find(id); it != facts.checkpoints.end())
      it->second.state = State::kDamaged;
  if (attempt_ == 0)
    if (const auto choice = beside_a_live_one(facts)) return *choice;
  const auto& from = plan_.launch.request.from;
  if (!from) return choose(facts, plan_.launch);
  auto source = source_of(world_, *from);
  for (const auto& id : found_damaged_elsewhere_)
    if (const auto it = source.facts.checkpoints.find(id); it != source.facts.checkpoints.end())
      it->second.state = State::kDamaged;
  const bool is_own = source.kind == Source::Kind::kStore && source.path == ledger_.store;
  return choose(facts, plan_.launch, is_own ? nullptr : &source);
}

std::optional<Error> Job::expect(Phase phase, const std::function<std::optional<Choice>()>& call) {
  phase_ = phase;
  const bool again = !found_damaged_.empty() || !found_damaged_elsewhere_.empty();
  std::vector<Choice> allowed = {expected_now()};
  allowed_ = &allowed;
  const auto sleeps = sleeps_;
  const auto failures = failures_;
  std::optional<Error> thrown;
  Choice chosen;
  try {
    const auto made = call();
    if (!made) {
      allowed_ = nullptr;
      return thrown;
    }
    chosen = *made;
  } catch (const Error& e) {
    chosen = {Choice::Kind::kError, std::nullopt, e.code()};
    thrown = e;
  }
  allowed_ = nullptr;
  world_.tell("  " + std::string(to_text(phase)) + ": " + to_text(chosen));
  const bool superseded = attempt_ > 0 && ledger_.highest_on(world_.disk) > attempt_;
  if (superseded && chosen.code == ErrorCode::kSuperseded) return thrown;
  // What it saw before it slept, or before a sleeper ran, says nothing about now.
  if (sleeps != sleeps_ || (again && undisturbed_ != world_.wakes)) return thrown;
  if (failures != failures_ && thrown && thrown->code() == ErrorCode::kIo) {
    world_.counts.add("decisions that could not be made: " + std::string(to_text(phase)));
    return thrown;
  }
  if (failures != failures_) world_.counts.add("decisions made all the same");
  world_.counts.add("decisions compared");
  count_choice(chosen);
  world_.counts.add("chosen: " + to_text(Choice{chosen.kind, std::nullopt, chosen.code}));
  if (std::find(allowed.begin(), allowed.end(), chosen) == allowed.end())
    differs(std::string(to_text(phase)) + ": chosen " + to_text(chosen) + ", expected " +
            to_text(allowed.front()) + (thrown ? std::string(" (") + thrown->what() + ")" : ""));
  return thrown;
}

// So that a run can say what of the request its zero stands for.
void Job::count_choice(const Choice& chosen) {
  if (chosen.kind != Choice::Kind::kRestore) return;
  const auto& request = plan_.launch.request;
  const auto count = [&](bool wanted, const std::string& what) {
    if (!wanted) return;
    world_.counts.add("restored with " + what);
    if (chosen.applied == Applied{}) world_.counts.add("carried on after " + what);
  };
  count(request.present && request.mode == RestoreMode::kBest, "mode best");
  count(request.model_only, "scope model");
  count(request.from.has_value(), "from");
  count(chosen.store.has_value(), "a parent elsewhere");
  count(!request.exclude.empty(), "exclude");
  count(request.skip_samples > 0, "skip_samples");
}

void Job::differs(const std::string& what) {
  const auto text = "attempt " + std::to_string(attempt_) + ": " + what;
  world_.tell("  DIFFERS: " + text);
  world_.differs(text);
}

}  // namespace lockstep::model
