#include <algorithm>
#include <cstdio>
#include <memory>
#include <set>

#include <nlohmann/json.hpp>

#include "common/log.h"
#include "coordinator/catalog.h"
#include "coordinator/cli/command.h"
#include "coordinator/cli/store_reading.h"
#include "coordinator/lineage.h"

namespace lockstep::cli {

namespace {

using nlohmann::ordered_json;

struct Listing {
  StoreView store;
  std::vector<CheckpointId> newest;  // the newest lineage, newest first
  std::vector<CheckpointId> shown;
  bool all = false;
};

std::string state_of(const Listing& listing, const CheckpointView& checkpoint) {
  if (checkpoint.examined->state == CheckpointState::kDamaged) return "damaged";
  if (checkpoint.examined->state == CheckpointState::kNotFinite) return "not finite";
  const bool reached = std::find(listing.newest.begin(), listing.newest.end(), checkpoint.id) !=
                       listing.newest.end();
  return reached ? "good" : "abandoned";
}

Listing list_store(const FileSystem& files, const std::string& given, bool all) {
  Listing listing;
  listing.all = all;
  auto opened = open_store(files, given);
  listing.store = std::move(opened.view);
  listing.newest = newest_lineage(listing.store).checkpoints;
  if (all) {
    for (auto it = listing.store.checkpoints.rbegin(); it != listing.store.checkpoints.rend(); ++it)
      listing.shown.push_back(it->id);
  } else {
    listing.shown = listing.newest;
  }
  for (const auto& id : listing.shown) {
    auto* checkpoint = listing.store.checkpoint(id);
    if (!checkpoint->examined)
      checkpoint->examined = examine(files, opened.path, *checkpoint, Depth::kHeaders);
  }
  return listing;
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

ordered_json attempt_json(const StoreView& store, const AttemptView& attempt) {
  ordered_json object;
  object["attempt"] = attempt.number;
  object["run"] = attempt.claim ? ordered_json(attempt.claim->run) : ordered_json();
  const auto parent = parent_of(store, attempt);
  object["parent"] = nullptr;
  if (parent)
    object["parent"] = ordered_json{{"attempt", parent->attempt}, {"iteration", parent->iteration}};
  object["outcome"] =
      attempt.outcome ? ordered_json(to_text(attempt.outcome->outcome)) : ordered_json();
  object["damage"] = attempt.damage;
  return object;
}

ordered_json checkpoint_json(const Listing& listing, const CheckpointView& checkpoint) {
  const auto& found = *checkpoint.examined;
  const auto state = state_of(listing, checkpoint);
  ordered_json object;
  object["attempt"] = checkpoint.id.attempt;
  object["iteration"] = checkpoint.id.iteration;
  object["state"] = state;
  object["eligible"] = state == "good";
  object["bytes"] = found.bytes;
  object["world_size"] = found.manifest ? ordered_json(found.manifest->world_size) : ordered_json();
  object["created"] = found.manifest ? ordered_json(found.manifest->created) : ordered_json();
  object["metrics"] =
      found.manifest ? ordered_json(found.manifest->metrics) : ordered_json(ordered_json::object());
  object["why"] = found.why.empty() ? ordered_json() : ordered_json(found.why);
  return object;
}

void print_json(const Listing& listing) {
  ordered_json out;
  out["attempts"] = ordered_json::array();
  for (const auto* attempt : attempts_shown(listing))
    out["attempts"].push_back(attempt_json(listing.store, *attempt));
  out["checkpoints"] = ordered_json::array();
  for (const auto& id : listing.shown)
    out["checkpoints"].push_back(checkpoint_json(listing, *listing.store.checkpoint(id)));
  std::puts(out.dump(2).c_str());
}

std::vector<std::string> row_of(const Listing& listing, const CheckpointView& checkpoint) {
  const auto& found = *checkpoint.examined;
  const auto metrics = found.manifest ? metrics_text(found.manifest->metrics) : std::string();
  auto state = state_of(listing, checkpoint);
  if (!found.why.empty()) state += ": " + found.why;
  return {to_text(checkpoint.id),
          found.manifest ? age_text(found.manifest->created) : "?",
          bytes_text(found.bytes),
          found.manifest ? std::to_string(found.manifest->world_size) : "?",
          metrics.empty() ? "-" : metrics,
          state};
}

void print_for_people(const Listing& listing) {
  std::vector<std::vector<std::string>> rows = {
      {"CHECKPOINT", "AGE", "SIZE", "RANKS", "METRICS", "STATE"}};
  for (const auto& id : listing.shown)
    rows.push_back(row_of(listing, *listing.store.checkpoint(id)));
  if (rows.size() == 1) {
    std::puts("no checkpoint");
  } else {
    std::fputs(table(rows).c_str(), stdout);
  }
  rows = {{"ATTEMPT", "RUN", "STARTED FROM", "OUTCOME"}};
  for (const auto* attempt : attempts_shown(listing)) {
    const auto parent = parent_of(listing.store, *attempt);
    rows.push_back(
        {std::to_string(attempt->number), attempt->claim ? attempt->claim->run : "?",
         parent ? to_text(*parent) : "-",
         attempt->outcome ? to_text(attempt->outcome->outcome) : "none: running or crashed"});
    for (const auto& damage : attempt->damage)
      rows.back().back() += "; damaged " + damage;
  }
  std::puts("");
  std::fputs(table(rows).c_str(), stdout);
  const auto hidden = listing.store.checkpoints.size() - listing.shown.size();
  if (hidden > 0) std::printf("\n%zu more in abandoned lineages: --all shows them\n", hidden);
}

}  // namespace

Command add_ls(CLI::App& parent) {
  struct Options {
    std::string store;
    bool all = false;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  auto* app = parent.add_subcommand("ls", "Lists the checkpoints of a store, newest first");
  app->footer("lockstep ls STORE shows the newest lineage: what `latest` could reach.");
  app->add_option("STORE", options->store, "the store's folder")->required();
  app->add_flag("--all", options->all, "abandoned lineages too");
  app->add_flag("--json", options->json, "one JSON object");
  return {app, [options](FileSystem& files) {
            const auto listing = list_store(files, options->store, options->all);
            options->json ? print_json(listing) : print_for_people(listing);
            return 0;
          }};
}

}  // namespace lockstep::cli
