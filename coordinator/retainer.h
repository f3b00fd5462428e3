#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "common/file_system.h"
#include "common/log.h"
#include "coordinator/retention_rule.h"
#include "coordinator/store_view.h"

namespace lockstep {

// Retention of one attempt, a pass after each acknowledged commit. What it has opened it remembers,
// for metrics and states; but those on the strength of which others go, the `keep_last` newest good
// ones and the best by `keep_best`, are opened anew in each pass. A pass lists three folders; the
// first one reads the attempts' records and opens the whole lineage. Local; used by one thread at a
// time.
class Retainer {
 public:
  // As attempt `mine`, which has decided.
  Retainer(FileSystem& files, std::string store, std::int64_t mine, RetentionRule rule,
           const Log& log);

  // Sweeps once, then applies the rule. Of the own checkpoints those up to iteration `acknowledged`
  // count: a later one may be a commit whose last steps fail. Ends between two checkpoints where
  // `hurried()` is true; the next pass, or the next attempt's, does the rest. Does nothing where a
  // higher attempt has claimed the store: the commit says so. Never throws: what can't be done now
  // is a warning, once.
  void pass(
      std::int64_t acknowledged, const std::function<bool()>& hurried = [] { return false; });

 private:
  void sweep();
  void look();
  std::vector<CheckpointId> counted(std::int64_t acknowledged) const;
  bool examine_all(const std::vector<CheckpointId>& lineage, const std::function<bool()>& hurried);
  void examine_one(const CheckpointId& id);
  void remove(const Deletion& deletion);
  void apply(std::int64_t acknowledged, const std::function<bool()>& hurried);
  void warn(const std::string& about, const std::string& text);

  FileSystem& files_;
  const std::string store_;
  const std::int64_t mine_;
  const RetentionRule rule_;
  const Log& log_;
  StoreView view_;  // the attempts as first seen; the checkpoints of the last listing
  std::set<std::string> warned_;
  bool swept_ = false;
  bool superseded_ = false;
};

}  // namespace lockstep
