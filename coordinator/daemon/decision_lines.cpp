#include "coordinator/daemon/decision_lines.h"

#include "coordinator/amounts.h"
#include "coordinator/lost_work.h"
#include "coordinator/run_identity.h"

namespace lockstep {

namespace {

// "" where nothing is lost, or it is not known.
std::string lost_line(const DecisionRecord& record, const StoreView& store,
                      const LaunchFacts& launch, std::int64_t attempt) {
  const auto* earlier = attempt_before(store, attempt);
  const bool within = record.parent && !record.parent->store;
  if (!within || earlier == nullptr || !earlier->heartbeat || run_of(*earlier) != launch.run.id)
    return "";
  const auto& parent = record.parent->checkpoint;
  const auto& beat = *earlier->heartbeat;
  const auto lost = lost_iterations(*earlier, beat, parent, !record.rejected.empty());
  if (lost.value_or(0) == 0) return "";
  return "  attempt " + std::to_string(earlier->number) + " had come to iteration " +
         std::to_string(beat.iteration) + ": what it trained after " + to_text(parent) +
         " is trained again, " + count_text(static_cast<std::size_t>(*lost), "iteration");
}

}  // namespace

std::vector<std::string> decision_lines(const DecisionRecord& record, const StoreView& store,
                                        const LaunchFacts& launch,
                                        std::optional<std::int64_t> attempt) {
  auto line = "decision: " + to_text(record.kind);
  if (record.parent) line += " " + to_text(record.parent->checkpoint);
  if (record.source) line += " from " + *record.source;
  if (launch.evaluates) line += ", to be evaluated";
  if (attempt) line += ", as attempt " + std::to_string(*attempt) + " of run " + launch.run.id;
  std::vector<std::string> lines = {line + ", store " + launch.store_path};
  for (const auto& reason : record.reasons)
    lines.push_back("  because " + reason);
  if (attempt)
    if (auto lost = lost_line(record, store, launch, *attempt); !lost.empty())
      lines.push_back(std::move(lost));
  return lines;
}

}  // namespace lockstep
