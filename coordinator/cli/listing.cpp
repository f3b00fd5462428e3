#include "coordinator/cli/listing.h"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "common/record_json.h"
#include "coordinator/candidates.h"
#include "coordinator/cli/progress_bar.h"
#include "coordinator/examine_all.h"
#include "coordinator/json_text.h"
#include "coordinator/lineage.h"
#include "coordinator/pins.h"

namespace lockstep::cli {

namespace {

using nlohmann::ordered_json;

template <typename Value>
ordered_json or_null(bool there, const Value& value) {
  return there ? ordered_json(value()) : ordered_json();
}

std::vector<CheckpointId> all_of(const StoreView& store) {
  std::vector<CheckpointId> all;
  for (auto it = store.checkpoints.rbegin(); it != store.checkpoints.rend(); ++it)
    all.push_back(it->id);
  return all;
}

ordered_json parent_of_attempt(const AttemptView& attempt) {
  if (attempt.decision && attempt.decision->parent && attempt.decision->parent->store)
    return parent_json(attempt.decision->parent);
  const auto parent = parent_of(attempt);
  if (!parent) return nullptr;
  return {{"attempt", parent->attempt}, {"iteration", parent->iteration}};
}

ordered_json attempt_json(const AttemptView& attempt) {
  ordered_json object;
  object["attempt"] = attempt.number;
  object["run"] = or_null(run_of(attempt).has_value(), [&] { return *run_of(attempt); });
  object["parent"] = parent_of_attempt(attempt);
  object["outcome"] =
      or_null(attempt.outcome.has_value(), [&] { return to_text(attempt.outcome->outcome); });
  object["damage"] = attempt.damage;
  return object;
}

ordered_json checkpoint_json(const Listing& listing, const CheckpointView& checkpoint) {
  const auto& found = *checkpoint.examined;
  const auto standing = standing_of(listing, checkpoint);
  const bool told = found.manifest.has_value();
  ordered_json object;
  object["attempt"] = checkpoint.id.attempt;
  object["iteration"] = checkpoint.id.iteration;
  object["state"] = to_text(standing);
  object["eligible"] = is_eligible(standing);
  object["bytes"] = found.bytes;
  object["world_size"] = or_null(told, [&] { return found.manifest->world_size; });
  object["created"] = or_null(told, [&] { return found.manifest->created; });
  object["metrics"] = told ? ordered_json(found.manifest->metrics) : ordered_json::object();
  object["best"] = listing.best == checkpoint.id;
  object["pinned"] = listing.pins.contains(checkpoint.id);
  object["why"] = or_null(!found.why.empty(), [&] { return found.why; });
  return object;
}

}  // namespace

Listing list_store(const FileSystem& files, const std::string& given, bool all) {
  Listing listing;
  listing.all = all;
  auto opened = open_store(files, given);
  const auto wanted = all ? all_of(opened.view) : newest_lineage(opened.view).checkpoints;
  ProgressBar bar("opening files");
  listing.shown = examine_headers(files, opened.path, opened.view, wanted, shown_on(bar));
  const auto newest = newest_lineage(opened.view).checkpoints;
  listing.newest.insert(newest.begin(), newest.end());
  listing.pins = read_pins(files, opened.path);
  listing.best = best_of_newest(opened.view);
  listing.store = std::move(opened.view);
  listing.path = std::move(opened.path);
  return listing;
}

Standing standing_of(const Listing& listing, const CheckpointView& checkpoint) {
  return lockstep::standing_of(*checkpoint.examined, listing.newest.contains(checkpoint.id));
}

std::vector<const AttemptView*> attempts_shown(const Listing& listing) {
  std::set<std::int64_t> wanted;
  for (const auto& id : listing.shown)
    wanted.insert(id.attempt);
  if (const auto newest = newest_attempt(listing.store)) wanted.insert(*newest);
  std::vector<const AttemptView*> found;
  for (const auto& attempt : listing.store.attempts)
    if (listing.all || wanted.contains(attempt.number)) found.push_back(&attempt);
  return found;
}

std::string listing_json(const Listing& listing) {
  ordered_json out;
  out["attempts"] = ordered_json::array();
  for (const auto* attempt : attempts_shown(listing))
    out["attempts"].push_back(attempt_json(*attempt));
  out["checkpoints"] = ordered_json::array();
  for (const auto& id : listing.shown)
    out["checkpoints"].push_back(checkpoint_json(listing, *listing.store.checkpoint(id)));
  return json_text(out, 2);
}

std::vector<LinePart> parse_listing_format(const std::string& format) {
  static const std::array<std::string, 11> kFields = {
      "attempt", "iteration", "state", "eligible", "bytes", "world_size",
      "created", "metrics",   "best",  "pinned",   "why"};
  static const std::array<std::string, 1> kObjects = {"metrics"};
  return parse_line_format(format, kFields, kObjects);
}

namespace {

// Of all checkpoints that were examined.
std::set<std::string> metric_names(const StoreView& store) {
  std::set<std::string> names;
  for (const auto& checkpoint : store.checkpoints)
    if (checkpoint.examined && checkpoint.examined->manifest)
      for (const auto& [name, unused] : checkpoint.examined->manifest->metrics)
        names.insert(name);
  return names;
}

bool has_all(const std::set<std::string>& names, std::span<const LinePart> parts) {
  return std::ranges::all_of(
      parts, [&](const LinePart& part) { return part.key.empty() || names.contains(part.key); });
}

}  // namespace

void require_metrics(const FileSystem& files, Listing& listing, std::span<const LinePart> parts) {
  if (has_all(metric_names(listing.store), parts)) return;
  std::vector<CheckpointId> others;
  for (const auto& checkpoint : listing.store.checkpoints)
    if (!checkpoint.examined) others.push_back(checkpoint.id);
  ProgressBar bar("opening files");
  examine_all(files, listing.path, listing.store, others,
              {.depth = Depth::kManifest, .progress = shown_on(bar)});
  const auto names = metric_names(listing.store);
  if (!names.empty()) require_keys(parts, {names.begin(), names.end()});
}

std::string listing_lines(const Listing& listing, std::span<const LinePart> parts) {
  std::string text;
  for (const auto& id : listing.shown)
    text += format_line(parts, checkpoint_json(listing, *listing.store.checkpoint(id))) + "\n";
  return text;
}

}  // namespace lockstep::cli
