#include "tests/model/reference.h"

#include <algorithm>

namespace lockstep::model {

namespace {

Choice error(ErrorCode code) {
  return {Choice::Kind::kError, std::nullopt, code, {}, {}};
}
Choice start_from(const std::optional<CheckpointId>& parent) {
  return {parent ? Choice::Kind::kRestore : Choice::Kind::kFresh, parent, ErrorCode::kOk, {}, {}};
}

// "3@1200" as a decision writes it.
CheckpointId id_of(const std::string& text) {
  const auto at = text.find('@');
  return {std::stoll(text), std::stoll(text.substr(at + 1))};
}

// Where an attempt started: its decision, else what its own manifests say. Outer nullopt: nobody
// can tell.
std::optional<Start> start_of(const Facts& facts, std::int64_t number) {
  const auto it = facts.attempts.find(number);
  if (it != facts.attempts.end() && it->second.decided) return it->second.decided;
  for (const auto& [id, checkpoint] : facts.checkpoints)
    if (id.attempt == number && checkpoint.manifest_whole) return Start{checkpoint.parent, {}};
  return std::nullopt;
}

}  // namespace

std::optional<double> worth_of(const CheckpointFact& fact, const KeepBest& rule) {
  const auto it = fact.metrics.find(rule.metric);
  if (!fact.manifest_whole || it == fact.metrics.end()) return std::nullopt;
  return rule.maximize ? it->second : -it->second;
}

std::vector<CheckpointId> line_of(const Facts& facts, std::int64_t attempt) {
  std::vector<CheckpointId> line;
  std::optional<CheckpointId> from = CheckpointId{attempt, INT64_MAX};
  while (from) {
    for (auto it = facts.checkpoints.rbegin(); it != facts.checkpoints.rend(); ++it)
      if (it->first.attempt == from->attempt && it->first.iteration <= from->iteration)
        line.push_back(it->first);
    const auto start = start_of(facts, from->attempt);
    from = start ? start->parent : std::nullopt;
  }
  return line;
}

namespace {

class Chooser {
 public:
  Chooser(const Facts& facts, const Launch& launch) : facts_(facts), launch_(launch) {}

  Choice choose() const {
    auto choice = by_table();
    if (choice.kind == Choice::Kind::kError) return choice;
    if (choice.kind == Choice::Kind::kFresh && !facts_.store_there && launch_.restart_count > 0)
      return error(ErrorCode::kIo);
    if ((choice.parent ? choice.parent->iteration : 0) >= launch_.max_iterations) {
      choice.kind = Choice::Kind::kFinished;
      return choice;
    }
    return crash_loop(choice) ? error(ErrorCode::kMismatch) : choice;
  }

 private:
  Choice by_table() const {
    const auto& request = launch_.request;
    if (!request.present || request.once)
      if (const auto requeue = again()) return *requeue;
    if (!request.present)
      return facts_.checkpoints.empty() ? start_from({}) : error(ErrorCode::kInvalidConfig);
    if (request.mode == RestoreMode::kFresh) return start_from({});
    if (request.mode == RestoreMode::kBest && !launch_.keep_best)
      return error(ErrorCode::kInvalidConfig);
    return apply(request.mode == RestoreMode::kIteration ? named() : of_field());
  }

  // What the request does to what it restores.
  Choice apply(Choice choice) const {
    if (choice.kind != Choice::Kind::kRestore) return choice;
    const auto& request = launch_.request;
    choice.applied = {request.model_only, request.exclude, request.skip_samples};
    if (request.model_only) {
      choice.source = lockstep::to_text(*choice.parent);
      choice.parent.reset();
    }
    return choice;
  }

  // The attempts of the run so far, oldest first.
  std::vector<std::int64_t> run_so_far() const {
    std::vector<std::int64_t> mine;
    std::int64_t count = -1;
    const auto begin_anew_unless_above = [&](std::int64_t next) {
      if (launch_.run_from_slurm && next <= count) mine.clear();
      count = next;
    };
    for (const auto& [number, attempt] : facts_.attempts) {
      if (attempt.refused || !attempt.claim_readable || attempt.run != launch_.run) continue;
      begin_anew_unless_above(attempt.restart_count);
      mine.push_back(number);
    }
    begin_anew_unless_above(launch_.restart_count);
    return mine;
  }

  // The run's attempts that have decided, newest first, as long as they did so by this request.
  std::vector<std::int64_t> applied() const {
    std::vector<std::int64_t> found;
    const auto mine = run_so_far();
    for (auto it = mine.rbegin(); it != mine.rend(); ++it) {
      const auto& attempt = facts_.attempts.at(*it);
      const bool has_decided =
          attempt.decided || (attempt.decision_damaged && start_of(facts_, *it));
      if (!has_decided) continue;
      if (attempt.request != launch_.request) break;
      found.push_back(*it);
    }
    return found;
  }

  bool has_committed(std::int64_t number) const {
    if (facts_.attempts.at(number).last_committed) return true;
    return std::any_of(facts_.checkpoints.begin(), facts_.checkpoints.end(),
                       [&](const auto& entry) { return entry.first.attempt == number; });
  }

  // The two rows of a request that the run has applied before. nullopt: neither fits.
  std::optional<Choice> again() const {
    const auto before = applied();
    if (before.empty()) return std::nullopt;
    if (std::any_of(before.begin(), before.end(),
                    [&](auto number) { return has_committed(number); }))
      return carry_on(before);
    const auto start = *start_of(facts_, before.front());
    if (!start.parent && !start.source) return start_from({});
    const auto id = start.parent ? *start.parent : id_of(*start.source);
    const auto there = facts_.checkpoints.find(id);
    const bool gone = there == facts_.checkpoints.end();
    // A parent where weights alone are asked for: it had carried on already.
    const bool had_carried_on = start.parent && launch_.request.model_only;
    if (!gone && there->second.state != State::kDamaged)
      return had_carried_on ? start_from(id) : apply(start_from(id));
    if (launch_.request.present && (launch_.request.mode == RestoreMode::kLatest ||
                                    launch_.request.mode == RestoreMode::kBest))
      return std::nullopt;
    return error(gone ? ErrorCode::kNotFound : ErrorCode::kDamaged);
  }

  Choice carry_on(const std::vector<std::int64_t>& before) const {
    auto line = line_of(facts_, before.front());
    const auto& request = launch_.request;
    if (request.present && request.mode == RestoreMode::kIteration) {
      const auto was_named = start_of(facts_, before.back())->parent;
      const auto at = was_named ? std::find(line.begin(), line.end(), *was_named) : line.end();
      if (at != line.end()) line.erase(at + 1, line.end());
    }
    return newest_good(line);
  }

  Choice newest_good(const std::vector<CheckpointId>& line) const {
    std::int64_t newest = -1;
    bool damage = false;
    for (const auto& id : line) {
      const auto state = facts_.checkpoints.at(id).state;
      if (state == State::kNotFinite) continue;
      newest = std::max(newest, id.iteration);
      damage = damage || state == State::kDamaged;
      if (state == State::kDamaged) continue;
      const auto& most = launch_.request.max_lost_iterations;
      return most && newest - id.iteration > *most ? error(ErrorCode::kDamaged) : start_from(id);
    }
    return error(damage ? ErrorCode::kDamaged : ErrorCode::kNotFound);
  }

  // Where `latest` and a named iteration look. nullopt: the attempt named can't be taken.
  std::optional<std::vector<CheckpointId>> field() const {
    if (const auto wanted = launch_.request.attempt) {
      const auto it = facts_.attempts.find(*wanted);
      if (it == facts_.attempts.end() || it->second.refused) return std::nullopt;
      return line_of(facts_, *wanted);
    }
    for (auto it = facts_.attempts.rbegin(); it != facts_.attempts.rend(); ++it)
      if (!it->second.refused)
        if (auto line = line_of(facts_, it->first); !line.empty()) return line;
    return std::vector<CheckpointId>{};
  }

  // `latest` and `best`.
  Choice of_field() const {
    if (facts_.checkpoints.empty())
      return launch_.request.fresh_if_missing ? start_from({}) : error(ErrorCode::kNotFound);
    const auto line = field();
    if (!line) return error(ErrorCode::kNotFound);
    return launch_.request.mode == RestoreMode::kBest ? best(*line) : newest_good(*line);
  }

  // The best of the good ones; of equal ones the later. Where a damaged one may have been better
  // this is a fallback.
  Choice best(const std::vector<CheckpointId>& line) const {
    const auto& rule = *launch_.keep_best;
    std::optional<CheckpointId> chosen;
    std::optional<double> most;
    std::int64_t newest = -1;
    for (const auto& id : line) {
      const auto& fact = facts_.checkpoints.at(id);
      if (fact.state != State::kNotFinite) newest = std::max(newest, id.iteration);
      const auto worth = worth_of(fact, rule);
      if (fact.state != State::kGood || !worth || (most && *worth <= *most)) continue;
      chosen = id;
      most = worth;
    }
    const bool falls_back = std::any_of(line.begin(), line.end(), [&](const CheckpointId& id) {
      const auto& fact = facts_.checkpoints.at(id);
      if (fact.state != State::kDamaged) return false;
      const auto worth = worth_of(fact, rule);
      return !fact.manifest_whole || (worth && (!most || *worth > *most));
    });
    if (!chosen) return error(falls_back ? ErrorCode::kDamaged : ErrorCode::kNotFound);
    const auto& limit = launch_.request.max_lost_iterations;
    return falls_back && limit && newest - chosen->iteration > *limit ? error(ErrorCode::kDamaged)
                                                                      : start_from(chosen);
  }

  Choice named() const {
    const auto line = field();
    if (!line) return error(ErrorCode::kNotFound);
    for (const auto& id : *line)
      if (id.iteration == *launch_.request.iteration)
        return facts_.checkpoints.at(id).state == State::kDamaged ? error(ErrorCode::kDamaged)
                                                                  : start_from(id);
    return error(ErrorCode::kNotFound);
  }

  bool crash_loop(const Choice& choice) const {
    const auto mine = run_so_far();
    if (mine.size() < 3) return false;
    return std::all_of(mine.end() - 3, mine.end(), [&](std::int64_t number) {
      const auto& attempt = facts_.attempts.at(number);
      const bool crashed =
          !attempt.exit_code || *attempt.exit_code == 3 || *attempt.exit_code == 76;
      const bool no_iteration =
          !attempt.iteration ||
          *attempt.iteration <= (choice.parent ? choice.parent->iteration : 0);
      return attempt.decided && attempt.decided->parent == choice.parent &&
             attempt.decided->source == choice.source && attempt.request == launch_.request &&
             attempt.config == launch_.config && crashed && no_iteration;
    });
  }

  const Facts& facts_;
  const Launch& launch_;
};

}  // namespace

namespace {

// What the newest attempt says that it committed last, and is not there, is damaged, not absent.
Facts with_missing_commit(Facts facts) {
  std::optional<CheckpointId> last;
  for (const auto& [number, attempt] : facts.attempts) {
    if (attempt.refused) continue;
    last.reset();
    if (attempt.last_committed) last = CheckpointId{number, *attempt.last_committed};
  }
  if (last) facts.checkpoints.emplace(*last, CheckpointFact{State::kDamaged, false, {}, {}});
  return facts;
}

}  // namespace

Choice choose(const Facts& facts, const Launch& launch) {
  const auto seen = with_missing_commit(facts);
  return Chooser(seen, launch).choose();
}

std::string to_text(const Choice& choice) {
  auto parent = choice.parent ? " " + lockstep::to_text(*choice.parent) : "";
  if (choice.source) parent += " from " + *choice.source;
  if (choice.applied.model_only) parent += ", weights";
  for (const auto& glob : choice.applied.exclude)
    parent += ", not " + glob;
  if (choice.applied.skip_samples > 0)
    parent += ", behind " + std::to_string(choice.applied.skip_samples) + " samples";
  switch (choice.kind) {
    case Choice::Kind::kFresh:
      return "fresh";
    case Choice::Kind::kRestore:
      return "restore" + parent;
    case Choice::Kind::kFinished:
      return "finished" + parent;
    case Choice::Kind::kError:
      break;
  }
  return "error " + std::to_string(static_cast<int>(choice.code)) + ", exit " +
         std::to_string(exit_code(choice.code));
}

}  // namespace lockstep::model
