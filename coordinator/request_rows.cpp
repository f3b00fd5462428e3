#include "coordinator/request_rows.h"

#include <algorithm>
#include <cstdlib>

#include "coordinator/candidates.h"
#include "coordinator/lineage.h"
#include "coordinator/settle.h"

namespace lockstep {

namespace {

std::string whose(std::int64_t attempt) {
  return "attempt " + std::to_string(attempt) + "'s lineage";
}

std::vector<std::string> iterations_of(const std::vector<CheckpointId>& ids) {
  std::vector<std::string> texts;
  for (const auto& id : ids)
    texts.push_back(std::to_string(id.iteration));
  return texts;
}

std::vector<std::string> names_of(const std::vector<CheckpointId>& ids) {
  std::vector<std::string> names;
  for (const auto& id : ids)
    names.push_back(to_text(id));
  return names;
}

// Where `latest`, `best` and `iteration` look: the attempt named, or the newest whose lineage holds
// any.
struct Field {
  std::optional<std::int64_t> attempt;
  std::vector<CheckpointId> checkpoints;  // newest first
  std::vector<std::string> reasons;
  std::string error;  // the attempt named can't be taken

  std::string name() const { return attempt ? whose(*attempt) : "any attempt's lineage"; }
};

Field named_field(const StoreView& store, std::int64_t wanted) {
  Field field;
  const auto* attempt = store.attempt(wanted);
  if (attempt != nullptr && !is_refused(*attempt)) {
    field.attempt = wanted;
    field.checkpoints = lineage(store, wanted);
    return field;
  }
  std::vector<std::string> there;
  for (auto it = store.attempts.rbegin(); it != store.attempts.rend(); ++it)
    if (!is_refused(*it)) there.push_back(std::to_string(it->number));
  field.error = "attempt " + std::to_string(wanted) +
                (attempt != nullptr ? " was refused and holds nothing" : " does not exist") + "; " +
                (there.empty() ? "the store has no attempt" : "there is " + enumerate(there));
  return field;
}

// A loose checkpoint is all that there is to choose from.
Field single_field(const StoreView& store, const Request& request) {
  const auto& id = store.checkpoints.front().id;
  if (request.attempt && *request.attempt != id.attempt)
    return {{}, {}, {}, "restore.attempt is not that of the checkpoint, " + to_text(id)};
  return {id.attempt, {id}, {}, {}};
}

Field field_of(const Ground& ground, const Request& request) {
  const auto& store = ground.store;
  if (ground.source != nullptr && ground.source->kind == SourceKind::kCheckpoint)
    return single_field(store, request);
  if (request.attempt) return named_field(store, *request.attempt);
  Field field;
  const auto newest = newest_lineage(store);
  field.attempt = newest.attempt;
  field.checkpoints = newest.checkpoints;
  if (!newest.passed_over.empty() && newest.attempt) {
    std::vector<std::string> passed;
    for (const auto number : newest.passed_over)
      passed.push_back(std::to_string(number));
    field.reasons.push_back("passed over, since no checkpoint is in its lineage: attempt " +
                            enumerate(passed));
  }
  return field;
}

void rule_absent(Ruling& ruling, const StoreView& store, const LaunchFacts& launch) {
  if (store.checkpoints.empty()) {
    settle_fresh(
        ruling, store,
        "no restore section, and no checkpoint yet in " + launch.store_path + ": a fresh start");
    if (!launch.run.stable)
      ruling.record.reasons.emplace_back(
          "the next launch will have to say what to restore; write restore: auto to carry on");
    return;
  }
  const auto newest = newest_lineage(store);
  const auto there = iterations_of(newest.checkpoints);
  const auto elsewhere = store.checkpoints.size() - newest.checkpoints.size();
  settle_error(
      ruling, ErrorCode::kInvalidConfig,
      "the store has checkpoints and the configuration has no restore section; write " +
          std::string("restore: latest to carry on") +
          (there.empty() ? "" : " from " + to_text(newest.checkpoints.front())) +
          ", restore: fresh to start anew, or one of the iterations there are: " +
          (there.empty() ? "none" : enumerate(there)) +
          (elsewhere == 0
               ? ""
               : "; in other lineages " + std::string(elsewhere == 1 ? "is " : "are ") +
                     std::to_string(elsewhere) + " more, as restore: A@N (lockstep ls --all)"));
}

// The section that takes exactly this checkpoint, from where `request` looks.
std::string section_for(const Request& request, const CheckpointId& id) {
  if (!request.from) return "restore: " + to_text(id);
  return "restore: {from: " + *request.from + ", attempt: " + std::to_string(id.attempt) +
         ", iteration: " + std::to_string(id.iteration) + "}";
}

// Any higher iteration in another lineage, so that nobody wonders where it went.
void name_higher_elsewhere(Ruling& ruling, const StoreView& store, const Request& request,
                           const CheckpointId& chosen, const std::vector<CheckpointId>& field) {
  std::optional<CheckpointId> higher;
  for (const auto& c : store.checkpoints)  // of equal ones the newest attempt's, which comes last
    if (c.id.iteration > chosen.iteration &&
        c.id.iteration >= (higher ? higher->iteration : chosen.iteration) &&
        std::find(field.begin(), field.end(), c.id) == field.end())
      higher = c.id;
  if (higher)
    ruling.record.reasons.push_back(
        "a higher iteration is in another lineage and not taken: " + to_text(*higher) + " (" +
        section_for(request, *higher) + " goes there)");
}

// Takes the pick over. A copy of the own store counts as that store where the own one holds the
// very same checkpoint.
void take(Ruling& ruling, const StoreView& store, const Ground& ground, const Pick& pick,
          const Request& request) {
  const bool copy = ground.source != nullptr && store.id && ground.store.id == store.id;
  if (!copy || !pick.chosen) return settle_pick(ruling, ground, pick, &request);
  const auto* own = store.checkpoint(*pick.chosen);
  if (own != nullptr && !own->examined) {
    ruling.examine = Chosen{*pick.chosen, false};
    return;
  }
  const auto& digest = ground.store.checkpoint(*pick.chosen)->examined->manifest_digest;
  if (own != nullptr && own->examined->manifest_digest == digest &&
      own->examined->state != CheckpointState::kDamaged)
    return settle_pick(ruling, {store}, pick, &request);
  settle_error(ruling, ErrorCode::kMismatch,
               ground.source->path +
                   " is a copy of this store (the same id), and this store does " +
                   "not hold the same " + to_text(*pick.chosen) +
                   ": one history would have two futures; restore from the original, or name a " +
                   "safetensors file made by lockstep export");
}

std::string choice_text(const Ground& ground, const LaunchFacts& launch, const Field& field,
                        const CheckpointId& chosen) {
  if (launch.request.mode == RestoreMode::kBest)
    return "best: " + best_text(ground.store, chosen, *launch.keep_best) + " is the best in " +
           field.name();
  if (ground.source != nullptr && ground.source->kind == SourceKind::kCheckpoint)
    return "it is the checkpoint " + to_text(chosen);
  return "latest: newest good checkpoint of " + field.name() + " is " + to_text(chosen);
}

// latest and best: one of a field's checkpoints by a rule.
void take_of_field(Ruling& ruling, const StoreView& store, const Ground& ground,
                   const LaunchFacts& launch, const Field& field) {
  const auto& request = launch.request;
  const bool best = request.mode == RestoreMode::kBest;
  const auto pick = best ? pick_best(ground.store, field.checkpoints, launch.keep_best.value(),
                                     request.max_lost_iterations, field.name())
                         : pick_newest(ground.store, field.checkpoints, request.max_lost_iterations,
                                       field.name());
  auto& reasons = ruling.record.reasons;
  if (pick.chosen) reasons.push_back(choice_text(ground, launch, field, *pick.chosen));
  reasons.insert(reasons.end(), field.reasons.begin(), field.reasons.end());
  take(ruling, store, ground, pick, request);
  if (pick.chosen && !best && ruling.record.kind == DecisionKind::kRestore)
    name_higher_elsewhere(ruling, ground.store, request, *pick.chosen, field.checkpoints);
}

std::string missing_iteration(const StoreView& store, const Field& field, const Request& request) {
  const auto wanted = *request.iteration;
  auto text = "iteration " + std::to_string(wanted) + " is not in " +
              (field.attempt ? whose(*field.attempt) : "the store");
  std::vector<CheckpointId> elsewhere;  // the newest attempt's first
  for (auto it = store.checkpoints.rbegin(); it != store.checkpoints.rend(); ++it)
    if (it->id.iteration == wanted) elsewhere.push_back(it->id);
  if (!elsewhere.empty())
    text += "; it exists as " + enumerate(names_of(elsewhere)) + ": write " +
            section_for(request, elsewhere.front());
  auto near = field.checkpoints;
  std::stable_sort(near.begin(), near.end(), [&](const CheckpointId& a, const CheckpointId& b) {
    return std::abs(a.iteration - wanted) < std::abs(b.iteration - wanted);
  });
  if (!near.empty()) return text + "; there is, nearest first: " + enumerate(iterations_of(near));
  return text + (elsewhere.empty() ? "; there is none" : "");
}

void take_iteration(Ruling& ruling, const StoreView& store, const Ground& ground,
                    const Request& request, const Field& field) {
  const auto wanted = *request.iteration;
  const auto found = std::find_if(field.checkpoints.begin(), field.checkpoints.end(),
                                  [&](const CheckpointId& id) { return id.iteration == wanted; });
  if (found == field.checkpoints.end())
    return settle_error(ruling, ErrorCode::kNotFound,
                        missing_iteration(ground.store, field, request));
  ruling.record.reasons.push_back("iteration " + std::to_string(wanted) + " was named: " +
                                  to_text(*found) + " of " + whose(*field.attempt));
  take(ruling, store, ground, pick_named(ground.store, *found), request);
}

std::string none_at_all(const Ground& ground) {
  const auto where = ground.source != nullptr ? ground.source->path : std::string("the store");
  return where + " has no checkpoint";
}

void rule_ground(Ruling& ruling, const StoreView& store, const Ground& ground,
                 const LaunchFacts& launch) {
  const auto& request = launch.request;
  if (request.mode != RestoreMode::kIteration && ground.store.checkpoints.empty()) {
    if (request.fresh_if_missing)
      return settle_fresh(ruling, store,
                          ground.source != nullptr
                              ? none_at_all(ground) + ", and if_missing is fresh: a fresh start"
                              : "no checkpoint yet in " + launch.store_path +
                                    ", and if_missing is fresh: a fresh start");
    return settle_error(ruling, ErrorCode::kNotFound,
                        std::string(request.mode == RestoreMode::kBest ? "best: " : "latest: ") +
                            none_at_all(ground) +
                            "; write restore: auto (or if_missing: fresh) where a first start is "
                            "meant to be fresh");
  }
  const auto field = field_of(ground, request);
  if (!field.error.empty()) return settle_error(ruling, ErrorCode::kNotFound, field.error);
  if (ground.source != nullptr)
    ruling.record.reasons.push_back("from " + ground.source->path + ", as restore.from says");
  if (request.mode == RestoreMode::kIteration)
    return take_iteration(ruling, store, ground, request, field);
  take_of_field(ruling, store, ground, launch, field);
}

void rule_weights(Ruling& ruling, const SourceView& source, const Request& request) {
  if (request.iteration || request.attempt || request.mode == RestoreMode::kBest)
    return settle_error(ruling, ErrorCode::kInvalidConfig,
                        source.path +
                            " is a file of weights: mode, iteration and attempt choose "
                            "in a store; leave them out");
  if (!request.model_only)
    return settle_error(ruling, ErrorCode::kInvalidConfig,
                        source.path + " is a file of weights: write scope: model");
  settle_weights(ruling, source, request);
}

}  // namespace

void rule_request(Ruling& ruling, const StoreView& store, const LaunchFacts& launch,
                  const SourceView* source) {
  const auto& request = launch.request;
  if (!request.present) return rule_absent(ruling, store, launch);
  if (request.mode == RestoreMode::kFresh)
    return settle_fresh(ruling, store, "fresh was asked for: nothing is loaded");
  if (request.mode == RestoreMode::kBest && !launch.keep_best)
    return settle_error(ruling, ErrorCode::kInvalidConfig,
                        "best goes by checkpoint.keep_best, which is not there");
  if (!request.from) return rule_ground(ruling, store, {store}, launch);
  if (source == nullptr) {
    ruling.read_source = true;
    return;
  }
  if (source->kind == SourceKind::kWeights) return rule_weights(ruling, *source, request);
  const bool own = source->kind == SourceKind::kStore && source->path == launch.store_path;
  rule_ground(ruling, store, own ? Ground{store} : Ground{source->store, source}, launch);
}

}  // namespace lockstep
