#include <algorithm>
#include <atomic>
#include <cstdio>
#include <memory>

#include <nlohmann/json.hpp>

#include "coordinator/amounts.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/progress_bar.h"
#include "coordinator/cli/store_reading.h"
#include "coordinator/cli/table.h"
#include "coordinator/examine_all.h"
#include "coordinator/json_text.h"
#include "coordinator/standing.h"

namespace lockstep::cli {

namespace {

using nlohmann::ordered_json;

struct Options {
  std::string store;
  std::string checkpoint;
  bool json = false;
};

// What one checkpoint turned out to be.
struct Verdict {
  CheckpointId id;
  std::string state;  // good | damaged | not finite | unreadable
  std::string why;
  std::uint64_t bytes = 0;
};

struct Report {
  std::vector<Verdict> checkpoints;
  std::vector<DamagedRecord> records;
  std::uint64_t bytes = 0;
  double seconds = 0;

  bool has(const std::string& state) const {
    return std::ranges::find(checkpoints, state, &Verdict::state) != checkpoints.end();
  }
  // Proven damage outweighs what can't be read now.
  int exit_code() const {
    if (has("damaged") || !records.empty()) return 1;
    return has("unreadable") ? 3 : 0;
  }
};

std::vector<CheckpointId> chosen(const FileSystem& files, OpenStore& store,
                                 const std::string& checkpoint) {
  if (!checkpoint.empty()) return {resolve(files, store, checkpoint)};
  std::vector<CheckpointId> all;
  for (auto it = store.view.checkpoints.rbegin(); it != store.view.checkpoints.rend(); ++it)
    all.push_back(it->id);
  return all;
}

Verdict verdict_of(const StoreView& store, const ExaminedAll& all, const CheckpointId& id) {
  const auto unreadable = std::ranges::find(all.unreadable, id, &Unreadable::checkpoint);
  if (unreadable != all.unreadable.end()) return {id, "unreadable", unreadable->why, 0};
  const auto& found = *store.checkpoint(id)->examined;
  // Abandoned ones are as sound as others.
  return {id, to_text(standing_of(found, true)), found.why, found.bytes};
}

Report verify(const FileSystem& files, const Options& options) {
  auto store = open_store(files, options.store);
  const auto wanted = chosen(files, store, options.checkpoint);
  Report report;
  if (options.checkpoint.empty()) report.records = damaged_records(store.view);
  ProgressBar bar("verifying");
  std::atomic<std::uint64_t> bytes = 0;
  ExamineOptions how{.depth = Depth::kBytes, .progress = shown_on(bar)};
  how.progress.on_verified = [&](std::uint64_t more) {
    bytes += more;
    bar.add(more);
  };
  const auto all = examine_all(files, store.path, store.view, wanted, how);
  for (const auto& id : wanted)
    if (store.view.checkpoint(id) != nullptr)
      report.checkpoints.push_back(verdict_of(store.view, all, id));
  report.bytes = bytes;
  report.seconds = bar.seconds();
  return report;
}

void print_json(const Report& report) {
  ordered_json out;
  out["checkpoints"] = ordered_json::array();
  for (const auto& one : report.checkpoints)
    out["checkpoints"].push_back(
        {{"attempt", one.id.attempt},
         {"iteration", one.id.iteration},
         {"state", one.state},
         {"bytes", one.bytes},
         {"why", one.why.empty() ? ordered_json() : ordered_json(one.why)}});
  out["records"] = ordered_json::array();
  for (const auto& record : report.records)
    out["records"].push_back({{"file", record.file}, {"why", record.why}});
  out["bytes"] = report.bytes;
  out["seconds"] = report.seconds;
  out["exit_code"] = report.exit_code();
  std::puts(json_text(out, 2).c_str());
}

void print_for_people(const Report& report) {
  std::vector<Row> rows;
  std::size_t sound = 0;
  for (const auto& one : report.checkpoints) {
    const bool bad = one.state == "damaged" || one.state == "unreadable";
    if (!bad) ++sound;
    if (one.state != "good")
      rows.push_back({to_text(one.id), {one.state, bad ? Colour::kRed : Colour::kYellow}, one.why});
  }
  for (const auto& record : report.records)
    rows.push_back({record.file, {"damaged", Colour::kRed}, record.why});
  std::fputs(table(rows, screen_of_stdout()).c_str(), stdout);
  std::printf("%zu of %s sound; %s in %.2f s, %s\n", sound,
              count_text(report.checkpoints.size(), "checkpoint").c_str(),
              bytes_text(report.bytes).c_str(), report.seconds,
              rate_text(report.bytes, report.seconds).c_str());
}

}  // namespace

Command verify_command() {
  const auto options = std::make_shared<Options>();
  Command command;
  command.name = "verify";
  command.purpose = "reads every byte of checkpoints against its checksum";
  command.description =
      "Without CHECKPOINT: those of every lineage, and the records of attempts. Names what is "
      "damaged, and why. Several threads read at once.";
  command.arguments = {store_argument(options->store), checkpoint_argument(options->checkpoint)};
  command.arguments[1].required = false;
  command.options = {flag("--json", options->json, "one JSON object")};
  command.exit_codes = {{0, "all good"},
                        {1, "damage, named"},
                        {2, "a mistake in the command, or no such store or checkpoint"},
                        {3, "something can't be read now, which says nothing about its bytes"}};
  command.examples = {"lockstep verify checkpoints", "lockstep verify checkpoints 3@1200",
                      "lockstep verify checkpoints --json | jq '.checkpoints[] | select(.why)'"};
  command.run = [options](FileSystem& files) {
    const auto report = verify(files, *options);
    options->json ? print_json(report) : print_for_people(report);
    return report.exit_code();
  };
  return command;
}

}  // namespace lockstep::cli
