#include "coordinator/prune.h"

#include <cstdio>
#include <memory>
#include <utility>

#include <nlohmann/json.hpp>

#include "common/error.h"
#include "common/log.h"
#include "coordinator/amounts.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/progress_bar.h"
#include "coordinator/cli/store_reading.h"
#include "coordinator/cli/table.h"
#include "coordinator/json_text.h"

namespace lockstep::cli {

namespace {

struct Options {
  std::string store;
  std::string keep_last;
  std::string keep_every;
  std::string keep_best;
  bool abandoned = false;
  bool dry_run = false;
  bool json = false;
};

// What goes, or went.
struct Pruned {
  Deletion deletion;
  std::uint64_t bytes = 0;
};

std::int64_t count_of(const std::string& option, const std::string& text) {
  const auto number = parse_number(text);
  if (!number || *number < 1)
    throw Error(ErrorCode::kInvalidConfig,
                option + " takes a whole number from 1, not '" + text + "'");
  return *number;
}

// METRIC:max|min[:COUNT]
KeepBest keep_best_of(const std::string& text) {
  const auto metric_end = text.find(':');
  const auto mode_end =
      metric_end == std::string::npos ? metric_end : text.find(':', metric_end + 1);
  KeepBest rule;
  rule.metric = text.substr(0, metric_end);
  const auto mode = metric_end == std::string::npos
                        ? std::string()
                        : text.substr(metric_end + 1, mode_end - metric_end - 1);
  if (rule.metric.empty() || (mode != "max" && mode != "min"))
    throw Error(
        ErrorCode::kInvalidConfig,
        "--keep-best can't be '" + text +
            "'; write METRIC:max or METRIC:min, and :COUNT behind it where more than one is "
            "to stay");
  rule.maximize = mode == "max";
  if (mode_end != std::string::npos)
    rule.count = count_of("--keep-best METRIC:MODE:COUNT", text.substr(mode_end + 1));
  return rule;
}

PruneRequest request_of(const Options& options) {
  PruneRequest request;
  request.abandoned = options.abandoned;
  if (!options.keep_last.empty() || !options.keep_every.empty() || !options.keep_best.empty()) {
    auto& rule = request.rule.emplace();
    rule.keep_last = options.keep_last.empty() ? 1 : count_of("--keep-last", options.keep_last);
    if (!options.keep_every.empty()) rule.keep_every = count_of("--keep-every", options.keep_every);
    if (!options.keep_best.empty()) rule.keep_best = keep_best_of(options.keep_best);
  }
  if (!request.rule && !request.abandoned)
    throw Error(
        ErrorCode::kInvalidConfig,
        "it is not said what is to stay, or to go; write what stays, --keep-last N, --keep-every N "
        "or --keep-best METRIC:max|min[:COUNT], or what goes, --abandoned; with --dry-run it "
        "is only told");
  return request;
}

// With sizes.
std::vector<Pruned> weigh(const FileSystem& files, const OpenStore& store,
                          const std::vector<Deletion>& chosen) {
  ProgressBar bar("taking sizes", Unit::kThings, chosen.size());
  std::vector<Pruned> weighed;
  for (const auto& deletion : chosen) {
    weighed.push_back(
        {deletion, bytes_of(files, store.path, *store.view.checkpoint(deletion.checkpoint))});
    bar.add(1);
  }
  return weighed;
}

void print_for_people(const std::vector<Pruned>& pruned, std::uint64_t bytes, bool dry_run) {
  if (pruned.empty()) {
    std::puts("nothing to prune");
    return;
  }
  std::vector<Row> rows = {{"CHECKPOINT", "SIZE", "WHY"}};
  for (const auto& one : pruned)
    rows.push_back({to_text(one.deletion.checkpoint), bytes_text(one.bytes), one.deletion.why});
  std::fputs(table(rows, screen_of_stdout()).c_str(), stdout);
  std::printf("\n%zu %s %s, %s\n", pruned.size(), pruned.size() == 1 ? "checkpoint" : "checkpoints",
              dry_run ? "would go" : "deleted", bytes_text(bytes).c_str());
}

void print_json(const std::vector<Pruned>& pruned, std::uint64_t bytes, bool dry_run) {
  nlohmann::ordered_json out;
  out["dry_run"] = dry_run;
  out["bytes"] = bytes;
  out["checkpoints"] = nlohmann::ordered_json::array();
  for (const auto& one : pruned)
    out["checkpoints"].push_back({{"attempt", one.deletion.checkpoint.attempt},
                                  {"iteration", one.deletion.checkpoint.iteration},
                                  {"bytes", one.bytes},
                                  {"why", one.deletion.why}});
  std::puts(json_text(out, 2).c_str());
}

void print(const std::vector<Pruned>& pruned, const Options& options) {
  std::uint64_t bytes = 0;
  for (const auto& one : pruned)
    bytes += one.bytes;
  options.json ? print_json(pruned, bytes, options.dry_run)
               : print_for_people(pruned, bytes, options.dry_run);
}

std::vector<Deletion> choose(const FileSystem& files, OpenStore& store, PruneRequest request) {
  ProgressBar bar("verifying");
  request.progress = shown_on(bar);
  return look_at_pruned(files, store.path, store.view, request);
}

// `gone`: newest first, as the dry run lists them; the oldest goes first.
void delete_noting(FileSystem& files, const OpenStore& store, const std::vector<Deletion>& chosen,
                   const std::vector<Pruned>& weighed, std::vector<Pruned>& gone) {
  ProgressBar bar("deleting", Unit::kThings, chosen.size());
  delete_pruned(files, store.path, store.view, chosen, [&](const Deletion& deletion) {
    for (const auto& one : weighed)
      if (one.deletion.checkpoint == deletion.checkpoint) gone.insert(gone.begin(), one);
    bar.add(1);
  });
}

StoreView look_aloud(const FileSystem& files, const std::string& store) {
  ProgressBar bar("reading attempts", Unit::kThings);
  const auto say = [&](const std::string& text) {
    bar.clear();
    std::fprintf(stderr, "%s\n", escape_controls(text).c_str());
  };
  return look_when_idle(files, store, clock_shown_on(bar, "watching its heartbeat"), say,
                        shown_on(bar));
}

int run_prune(FileSystem& files, const Options& options) {
  const auto request = request_of(options);
  auto store = open_store(files, options.store);
  store.view = look_aloud(files, store.path);
  const auto chosen = choose(files, store, request);
  const auto weighed = weigh(files, store, chosen);
  if (options.dry_run) {
    print(weighed, options);
    return 0;
  }
  std::vector<Pruned> gone;
  try {
    delete_noting(files, store, chosen, weighed, gone);
  } catch (const Error&) {
    if (!gone.empty()) print(gone, options);  // what went is gone, however it ends
    throw;
  }
  print(gone, options);
  return 0;
}

}  // namespace

Command prune_command() {
  const auto options = std::make_shared<Options>();
  Command command;
  command.name = "prune";
  command.purpose = "deletes checkpoints, while no job runs on the store";
  command.description =
      "Along the newest lineage what no --keep- option keeps goes; the newest good checkpoint and "
      "pinned ones always stay. With --abandoned all that is not in the newest lineage goes. "
      "attempts/ stays.";
  command.arguments = {store_argument(options->store)};
  command.options = {
      {"--keep-last", "N", "the newest N good ones stay (1)", &options->keep_last},
      {"--keep-every", "N", "iterations divisible by N stay", &options->keep_every},
      {"--keep-best", "METRIC:max|min[:COUNT]", "the best by a metric stay", &options->keep_best},
      flag("--abandoned", options->abandoned, "what is not in the newest lineage goes"),
      flag("--dry-run", options->dry_run, "tell what would go, delete nothing"),
      flag("--json", options->json, "one JSON object")};
  command.exit_codes = {
      {0, "what was to go is gone, or nothing was to go"},
      {2, "a mistake in the command, no such store, or a job runs on it or has begun meanwhile"},
      {3, "the store can't be read or written now"}};
  command.examples = {"lockstep prune checkpoints --keep-last 3 --keep-every 1000 --dry-run",
                      "lockstep prune checkpoints --keep-best accuracy:max:2 --abandoned"};
  command.run = [options](FileSystem& files) { return run_prune(files, *options); };
  return command;
}

}  // namespace lockstep::cli
