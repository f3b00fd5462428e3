#include "coordinator/settle.h"

#include <algorithm>

#include "common/names.h"

namespace lockstep {

void settle_error(Ruling& ruling, ErrorCode code, const std::string& error) {
  ruling.code = code;
  ruling.record.kind = DecisionKind::kError;
  ruling.record.error = error;
  ruling.record.exit_code = exit_code(code);
}

void settle_fresh(Ruling& ruling, const StoreView& store, const std::string& reason) {
  auto& record = ruling.record;
  record.kind = DecisionKind::kFresh;
  record.reasons.push_back(reason);
  if (store.checkpoints.empty()) return;
  const auto count = store.checkpoints.size();
  record.reasons.push_back(std::to_string(count) + (count == 1 ? " checkpoint" : " checkpoints") +
                           " in the store (newest " + to_text(store.checkpoints.back().id) +
                           ") stay" + (count == 1 ? "s" : "") + " untouched");
}

std::string source_text(const Ground& ground, const CheckpointId& id) {
  if (ground.source == nullptr) return to_text(id);
  const auto& source = *ground.source;
  // Where a deleter has it in trash just now it comes back to its place, or is gone.
  return source.kind == SourceKind::kStore ? checkpoint_path(source.path, id) : source.path;
}

namespace {

// Adam's bias correction goes by the iteration, which is that of the run.
constexpr auto kMomentsAnew =
    "with adam and adamw the moments of what is not loaded begin at zero in the midst of the run: "
    "its first steps, some hundred, are up to several times as long as usual; lower "
    "optimizer.learning_rate for a while, or write scope: model, which begins at iteration 0";

void apply(Ruling& ruling, const Request& request) {
  auto& reasons = ruling.record.reasons;
  ruling.selection = {request.model_only, request.exclude};
  ruling.skip_samples = request.skip_samples;
  if (request.model_only)
    reasons.emplace_back("scope model: weights only; optimizer, data and iteration start anew");
  if (!request.exclude.empty())
    reasons.push_back("not loaded: " + enumerate(request.exclude, request.exclude.size()));
  if (!request.exclude.empty() && !request.model_only) reasons.emplace_back(kMomentsAnew);
  if (request.skip_samples > 0)
    reasons.push_back(std::to_string(request.skip_samples) +
                      " samples of the data order are passed over");
}

}  // namespace

void settle_pick(Ruling& ruling, const Ground& ground, const Pick& pick, const Request* applied) {
  auto& record = ruling.record;
  record.rejected.insert(record.rejected.end(), pick.rejected.begin(), pick.rejected.end());
  if (pick.examine) {
    ruling.examine = Chosen{*pick.examine, ground.source != nullptr};
    return;
  }
  if (!pick.chosen) {
    record.reasons.insert(record.reasons.end(), pick.reasons.begin(), pick.reasons.end());
    settle_error(ruling, pick.code, pick.error);
    return;
  }
  record.kind = DecisionKind::kRestore;
  ruling.chosen = Chosen{*pick.chosen, ground.source != nullptr};
  record.manifest_digest = ground.store.checkpoint(*pick.chosen)->examined->manifest_digest;
  const bool model_only = applied != nullptr && applied->model_only;
  if (!model_only) record.parent = Parent{*pick.chosen, std::nullopt};
  if (!model_only && ground.source != nullptr)
    record.parent->store = ground.store.id.value_or("");  // "": a loose folder
  if (model_only || ground.source != nullptr) record.source = source_text(ground, *pick.chosen);
  for (const auto& r : pick.rejected)
    record.reasons.push_back(to_text(r.checkpoint) + " is damaged and passed over: " + r.why);
  record.reasons.insert(record.reasons.end(), pick.reasons.begin(), pick.reasons.end());
  if (applied != nullptr) apply(ruling, *applied);
}

void settle_weights(Ruling& ruling, const SourceView& source, const Request& request) {
  auto& record = ruling.record;
  record.kind = DecisionKind::kRestore;
  record.source = source.path;
  record.manifest_digest = source.digest;
  const Selection selection{request.model_only, request.exclude};
  const auto taken = std::ranges::count_if(source.weights.tensors, [&](const auto& tensor) {
    return is_selected(selection, tensor.tensor.name);
  });
  record.reasons.push_back("weights of " + std::to_string(taken) + " tensors from " + source.path);
  apply(ruling, request);
}

}  // namespace lockstep
