#include "coordinator/retainer.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "common/error.h"
#include "coordinator/attempt.h"
#include "coordinator/catalog.h"
#include "coordinator/examine.h"
#include "coordinator/lineage.h"
#include "coordinator/pins.h"
#include "coordinator/retention.h"

namespace lockstep {

Retainer::Retainer(FileSystem& files, std::string store, std::int64_t mine, RetentionRule rule,
                   const Log& log)
    : files_(files), store_(std::move(store)), mine_(mine), rule_(std::move(rule)), log_(log) {}

void Retainer::pass(std::int64_t acknowledged, const std::function<bool()>& hurried) {
  if (superseded_) return;
  try {
    apply(acknowledged, hurried);
  } catch (const Error& e) {
    superseded_ = e.code() == ErrorCode::kSuperseded;
    if (!superseded_) warn("pass", e.what());
  } catch (const std::exception& e) {
    warn("pass", e.what());
  }
}

void Retainer::apply(std::int64_t acknowledged, const std::function<bool()>& hurried) {
  require_newest(files_, store_, mine_);
  sweep();
  look();
  const auto lineage = counted(acknowledged);
  if (!examine_all(lineage, hurried)) return;
  for (const auto& deletion : choose_deletions(view_, lineage, rule_, read_pins(files_, store_))) {
    if (hurried()) return;
    remove(deletion);
  }
}

// Tried once: what is in the way of it then is still in the way at the next commit.
void Retainer::sweep() {
  if (std::exchange(swept_, true)) return;
  try {
    sweep_partials(files_, store_, mine_);
  } catch (const Error& e) {
    if (e.code() == ErrorCode::kSuperseded) throw;
    warn("sweep", e.what());
  }
}

// The checkpoints there are now, with what is known of them. Lineage can't change any more: the
// records that it goes by are older than the first pass.
void Retainer::look() {
  if (!view_.exists) view_ = scan_store(files_, store_);
  std::vector<CheckpointView> now;
  for (const auto& entry : files_.list(checkpoints_path(store_))) {
    const auto id = parse_checkpoint_folder(entry.name);
    if (!id || entry.kind != EntryKind::kFolder) continue;
    const auto* known = std::as_const(view_).checkpoint(*id);
    now.push_back({*id, known != nullptr ? known->examined : std::nullopt, std::nullopt});
  }
  std::sort(now.begin(), now.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  view_.checkpoints = std::move(now);
}

std::vector<CheckpointId> Retainer::counted(std::int64_t acknowledged) const {
  auto found = lineage(view_, mine_);
  std::erase_if(found, [&](const CheckpointId& id) {
    return id.attempt == mine_ && id.iteration > acknowledged;
  });
  return found;
}

// What others are deleted on the strength of is looked at anew: it may have been damaged since.
// false: hurried.
bool Retainer::examine_all(const std::vector<CheckpointId>& lineage,
                           const std::function<bool()>& hurried) {
  std::set<CheckpointId> anew;
  const auto look_at = [&](const CheckpointId& id, bool relied_on) {
    auto& examined = view_.checkpoint(id)->examined;
    if (relied_on && !anew.contains(id)) examined.reset();
    if (!examined) anew.insert(id);
    examine_one(id);
  };
  std::int64_t good = 0;
  for (const auto& id : lineage) {
    if (hurried()) return false;
    const bool relied_on = good < rule_.keep_last;
    look_at(id, relied_on);
    const auto& examined = view_.checkpoint(id)->examined;
    if (relied_on && examined && examined->state == CheckpointState::kGood) ++good;
  }
  // One that proves damaged makes room for the next best, which is looked at as well.
  for (auto looked = anew.size() + 1; looked != anew.size();) {
    looked = anew.size();
    for (const auto& id : kept_as_best(view_, lineage, rule_)) {
      if (hurried()) return false;
      look_at(id, true);
    }
  }
  return true;
}

// One that can't be read now is tried again in the next pass.
void Retainer::examine_one(const CheckpointId& id) {
  auto* checkpoint = view_.checkpoint(id);
  if (checkpoint->examined) return;
  try {
    checkpoint->examined = examine(files_, store_, *checkpoint, Depth::kHeaders);
  } catch (const Error& e) {
    warn(to_text(id), e.what());
  }
}

void Retainer::remove(const Deletion& deletion) {
  const auto name = to_text(deletion.checkpoint);
  try {
    if (delete_unpinned(files_, store_, mine_, *view_.checkpoint(deletion.checkpoint)))
      log_.info("retention: " + name + " deleted: " + deletion.why);
  } catch (const Error& e) {
    if (e.code() == ErrorCode::kSuperseded) throw;
    warn(name, e.what());
  }
}

void Retainer::warn(const std::string& about, const std::string& text) {
  if (warned_.insert(about).second) log_.warning("retention: " + text);
}

}  // namespace lockstep
