#include "tests/model/reference.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace lockstep::model {

namespace {

Choice error(ErrorCode code) {
  return {.kind = Choice::Kind::kError, .code = code};
}
const Choice kFresh = {.kind = Choice::Kind::kFresh};

// "3@1200" as a decision writes it. nullopt: a path.
std::optional<CheckpointId> id_of(const std::string& text) {
  const auto at = text.find('@');
  if (text.starts_with('/') || at == std::string::npos) return std::nullopt;
  return CheckpointId{std::stoll(text), std::stoll(text.substr(at + 1))};
}

std::string path_of(const Source& source, const CheckpointId& id) {
  if (source.kind == Source::Kind::kCheckpoint) return source.path;
  std::array<char, 64> name{};
  std::snprintf(name.data(), name.size(), "/checkpoints/%04lld-%010lld",
                static_cast<long long>(id.attempt), static_cast<long long>(id.iteration));
  return source.path + name.data();
}

class Chooser {
 public:
  Chooser(const Facts& facts, const Launch& launch, const Source* source)
      : facts_(facts), launch_(launch), request_(launch.request), source_(source) {}

  Choice choose() const {
    auto choice = by_table();
    // Whatever is asked for: what was committed may lie in the store that is missing.
    const bool about_own_store = choice.kind != Choice::Kind::kError ||
                                 (choice.code == ErrorCode::kNotFound && !request_.from);
    if (!facts_.store_there && launch_.restart_count > 0 && about_own_store)
      return error(ErrorCode::kIo);
    if (choice.kind == Choice::Kind::kError) return choice;
    if ((choice.parent ? choice.parent->iteration : 0) >= launch_.max_iterations) {
      choice.kind = Choice::Kind::kFinished;
      return choice;
    }
    return crash_loop(choice) ? error(ErrorCode::kMismatch) : choice;
  }

 private:
  bool mode_is(RestoreMode mode) const { return request_.present && request_.mode == mode; }

  Choice by_table() const {
    if (!request_.present || request_.once)
      if (const auto requeue = again()) return *requeue;
    if (!request_.present)
      return facts_.checkpoints.empty() ? kFresh : error(ErrorCode::kInvalidConfig);
    if (mode_is(RestoreMode::kFresh)) return kFresh;
    if (mode_is(RestoreMode::kBest) && !launch_.keep_best) return error(ErrorCode::kInvalidConfig);
    if (source_ == nullptr) return of(facts_, nullptr);
    if (const auto code = unusable()) return error(*code);
    return of(source_->facts, source_);
  }

  // Why what `from` names can't be restored from.
  std::optional<ErrorCode> unusable() const {
    if (source_ == nullptr) return ErrorCode::kNotFound;
    switch (source_->kind) {
      case Source::Kind::kNothing:
        return ErrorCode::kNotFound;
      case Source::Kind::kForeign:
        return ErrorCode::kMismatch;
      case Source::Kind::kBroken:
        return ErrorCode::kDamaged;
      default:
        return std::nullopt;
    }
  }

  // `latest`, `best` and an iteration, in the own store (source: null) or elsewhere.
  Choice of(const Facts& facts, const Source* source) const {
    if (!mode_is(RestoreMode::kIteration) && facts.checkpoints.empty())
      return request_.fresh_if_missing ? kFresh : error(ErrorCode::kNotFound);
    const auto line = line_in(facts, source);
    if (!line) return error(ErrorCode::kNotFound);
    return take(facts, source, pick(facts, *line));
  }

  std::optional<std::vector<CheckpointId>> line_in(const Facts& facts, const Source* source) const {
    if (source == nullptr || source->kind == Source::Kind::kStore)
      return field_of(facts, request_.attempt);
    const auto& only = facts.checkpoints.begin()->first;
    if (request_.attempt && request_.attempt != only.attempt) return std::nullopt;
    return std::vector<CheckpointId>{only};
  }

  Pick pick(const Facts& facts, const std::vector<CheckpointId>& line) const {
    if (mode_is(RestoreMode::kIteration)) return exactly(facts, line, *request_.iteration);
    if (mode_is(RestoreMode::kBest))
      return best_good(facts, line, *launch_.keep_best, request_.max_lost_iterations);
    return newest_good(facts, line, request_.max_lost_iterations);
  }

  // A copy of the own store counts as that store, where that holds the same.
  Choice take(const Facts& facts, const Source* source, const Pick& pick) const {
    if (!pick.id) return error(pick.code);
    if (source == nullptr || !facts.id || facts.id != facts_.id)
      return apply(restore(facts, source, *pick.id));
    const auto own = facts_.checkpoints.find(*pick.id);
    if (own == facts_.checkpoints.end() || own->second.state == State::kDamaged ||
        own->second.digest != facts.checkpoints.at(*pick.id).digest)
      return error(ErrorCode::kMismatch);
    return apply(restore(facts_, nullptr, *pick.id));
  }

  static Choice restore(const Facts& facts, const Source* source, const CheckpointId& id) {
    Choice choice = {.kind = Choice::Kind::kRestore, .parent = id};
    if (source == nullptr) return choice;
    choice.store = facts.id.value_or("");
    choice.source = path_of(*source, id);
    return choice;
  }

  // What the request does to what it restores.
  Choice apply(Choice choice) const {
    choice.applied = {request_.model_only, request_.exclude, request_.skip_samples};
    if (!request_.model_only) return choice;
    if (!choice.source) choice.source = lockstep::to_text(*choice.parent);
    choice.parent.reset();
    choice.store.reset();
    return choice;
  }

  // The attempts of the run so far, oldest first.
  std::vector<std::int64_t> run_so_far() const {
    std::vector<std::int64_t> mine;
    std::int64_t count = -1;
    const auto begin_anew_unless_above = [&](std::int64_t next) {
      // None is below 0: not even one that can't be read.
      if (launch_.run_from_slurm && (next <= count || next == 0)) mine.clear();
      count = next;
    };
    for (const auto& [number, attempt] : facts_.attempts) {
      const bool run_is_known = attempt.claim_readable || attempt.decided;
      if (attempt.refused || !run_is_known || attempt.run != launch_.run) continue;
      if (attempt.claim_readable) begin_anew_unless_above(attempt.restart_count);
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
      if (attempt.request != request_) break;
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
    if (!start.parent && !start.source) return kFresh;
    const auto own =
        start.parent && !start.store ? start.parent : id_of(start.source.value_or("/"));
    const auto code = own ? find_own(*own) : find_elsewhere(start);
    if (code == ErrorCode::kOk) return same(start, own);
    if (!own && unusable()) return error(code);  // and nothing to decide anew by
    if (mode_is(RestoreMode::kLatest) || mode_is(RestoreMode::kBest)) return std::nullopt;
    return error(code);
  }

  // Elsewhere the very same checkpoint may lie in another store by now, whose id counts.
  Choice same(const Start& start, const std::optional<CheckpointId>& own) const {
    // A parent where weights alone are asked for: it had carried on already.
    const bool had_carried_on = own && start.parent && request_.model_only;
    auto choice =
        own ? restore(facts_, nullptr, *own)
            : Choice{
                  .kind = Choice::Kind::kRestore, .parent = start.parent, .source = start.source};
    if (choice.parent && !own) choice.store = source_->facts.id.value_or("");
    return had_carried_on ? choice : apply(choice);
  }

  ErrorCode find_own(const CheckpointId& id) const {
    const auto there = facts_.checkpoints.find(id);
    if (there == facts_.checkpoints.end()) return ErrorCode::kNotFound;
    return there->second.state == State::kDamaged ? ErrorCode::kDamaged : ErrorCode::kOk;
  }

  // Whether the very checkpoint that was recorded is still there, by its manifest: another store
  // may stand in its place by now, with a checkpoint of the same name.
  ErrorCode find_elsewhere(const Start& start) const {
    if (const auto code = unusable()) return *code;
    for (const auto& [id, fact] : source_->facts.checkpoints) {
      const bool is_it = start.parent ? id == *start.parent : path_of(*source_, id) == start.source;
      if (!is_it) continue;
      if (fact.state == State::kDamaged) return ErrorCode::kDamaged;
      return fact.digest == start.digest ? ErrorCode::kOk : ErrorCode::kMismatch;
    }
    return ErrorCode::kNotFound;
  }

  Choice carry_on(const std::vector<std::int64_t>& before) const {
    auto line = line_of(facts_, before.front());
    if (mode_is(RestoreMode::kIteration)) {
      const auto was = *start_of(facts_, before.back());
      // What led to the named one has lower numbers, also where the named one itself is gone.
      if (was.parent && !was.store)
        std::erase_if(line, [&](const CheckpointId& id) { return id < *was.parent; });
    }
    const auto pick = newest_good(facts_, line, request_.max_lost_iterations);
    return pick.id ? restore(facts_, nullptr, *pick.id) : error(pick.code);
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
             attempt.decided->store == choice.store && attempt.decided->source == choice.source &&
             attempt.request == request_ && attempt.config == launch_.config && crashed &&
             no_iteration;
    });
  }

  const Facts& facts_;
  const Launch& launch_;
  const Request& request_;
  const Source* source_;
};

}  // namespace

Choice choose(const Facts& facts, const Launch& launch, const Source* source) {
  const auto seen = with_missing_commit(facts);
  if (source == nullptr) return Chooser(seen, launch, nullptr).choose();
  auto named = *source;
  if (named.kind == Source::Kind::kStore) named.facts = with_missing_commit(named.facts);
  return Chooser(seen, launch, &named).choose();
}

std::string to_text(const Choice& choice) {
  auto parent = choice.parent ? " " + lockstep::to_text(*choice.parent) : "";
  if (choice.store) parent += " of store '" + *choice.store + "'";
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
