#include "coordinator/finished.h"

#include "common/names.h"

namespace lockstep {

namespace {

bool iterations_reached(const LaunchFacts& launch, const DecisionRecord& record) {
  const auto iteration = record.parent ? record.parent->checkpoint.iteration : 0;
  return launch.max_iterations && iteration >= *launch.max_iterations;
}

bool epochs_reached(const LaunchFacts& launch, const DecisionRecord& record,
                    const Manifest* manifest) {
  if (!launch.max_epochs) return false;
  if (!record.parent) return *launch.max_epochs == 0;
  return manifest != nullptr && manifest->data.length > 0 &&
         manifest->data.position / manifest->data.length >= *launch.max_epochs;
}

}  // namespace

std::optional<std::string> nothing_to_train(const LaunchFacts& launch, const Ruling& ruling,
                                            const Manifest* manifest) {
  const auto& record = ruling.record;
  const auto start = record.parent ? to_text(record.parent->checkpoint) : "iteration 0";
  const auto because = [&](const std::string& limit, std::int64_t value) {
    auto text =
        start + " has reached " + limit + " " + std::to_string(value) + ": nothing to train";
    if (ruling.chosen && ruling.chosen->in_source)
      text += "; to train anew from its weights add scope: model";
    return text;
  };
  if (iterations_reached(launch, record))
    return because("run.max_iterations", *launch.max_iterations);
  if (epochs_reached(launch, record, manifest))
    return because("run.max_epochs", *launch.max_epochs);
  return std::nullopt;
}

}  // namespace lockstep
