#include "coordinator/daemon/decision_lines.h"

#include "coordinator/lost_work.h"

namespace lockstep {

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
    if (const auto lost = lost_text(record, store, launch.run.id, *attempt); !lost.empty())
      lines.push_back("  " + lost);
  return lines;
}

}  // namespace lockstep
