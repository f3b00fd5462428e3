#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <memory>
#include <system_error>

#include <nlohmann/json.hpp>

#include "common/error.h"
#include "common/json_members.h"
#include "common/log.h"
#include "common/strict_json.h"
#include "coordinator/amounts.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/job_sight.h"
#include "coordinator/cli/progress_bar.h"
#include "coordinator/cli/table.h"
#include "coordinator/examine_all.h"
#include "coordinator/json_text.h"
#include "coordinator/lineage.h"
#include "coordinator/run_length.h"
#include "coordinator/standing.h"
#include "coordinator/status/listen_address.h"

namespace lockstep::cli {

namespace {

using nlohmann::ordered_json;

struct Options {
  std::string store;
  bool json = false;
  bool wait = false;
};

// All that the store's files tell about its newest attempt.
struct Status {
  JobSight job;
  std::optional<CheckpointId> newest;  // of the newest lineage; examined
  std::size_t abandoned = 0;           // checkpoints
  std::uint64_t abandoned_bytes = 0;
  std::optional<std::uint64_t> free_bytes;
  std::optional<double> rate;     // iterations a second, since the attempt was claimed
  std::optional<double> still_s;  // so long no metrics, of a job at work; nullopt: as usual
  std::optional<std::int64_t> final_iteration;
  std::optional<double> left_s;         // until then, of a job that is at work
  std::optional<ListenAddress> served;  // where the job's status server listens, on its host
};

// How long the data is, where run.max_epochs ends the run, the newest checkpoint tells.
std::optional<DataPlace> data_of(const Status& status) {
  if (!status.newest) return std::nullopt;
  const auto& manifest = status.job.store.view.checkpoint(*status.newest)->examined->manifest;
  if (!manifest) return std::nullopt;
  return DataPlace{status.newest->iteration, manifest->data.position, manifest->data.length};
}

void measure_progress(const FileSystem& files, Status& status) {
  const auto& attempt = *status.job.attempt;
  status.rate = average_rate(files, status.job.store.path, attempt);
  if (attempt.claim)
    status.final_iteration = final_iteration(attempt.claim->config, data_of(status));
  if (status.job.alive) status.still_s = still_seconds(files, status.job.store.path, attempt);
  if (!status.job.alive || !attempt.heartbeat || !status.rate || !status.final_iteration) return;
  const auto left = *status.final_iteration - attempt.heartbeat->iteration;
  status.left_s = static_cast<double>(std::max<std::int64_t>(left, 0)) / *status.rate;
}

// By control.json, which is there while the server listens.
std::optional<ListenAddress> served_at(const FileSystem& files, const JobSight& job) {
  if (!job.alive) return std::nullopt;
  const auto path = attempt_path(job.store.path, job.attempt->number) + "/control.json";
  try {
    const auto control = parse_strict_json(read_small_file(files, path), "control.json");
    return parse_listen_address(text_member(control, "address", "control.json"));
  } catch (const Error&) {  // nobody is served, or it can't be told
    return std::nullopt;
  }
}

std::string served_text(const ListenAddress& address, const std::string& host) {
  if (host != this_process().host) return way_from_elsewhere(address, host);
  return address.is_unix() ? to_text(address) : "http://" + to_text(address) + "/";
}

void measure(const FileSystem& files, Status& status) {
  status.served = served_at(files, status.job);
  auto& view = status.job.store.view;
  const auto lineage = newest_lineage(view).checkpoints;
  if (!lineage.empty()) {
    const auto left =
        examine_headers(files, status.job.store.path, view, std::span(lineage).first(1));
    if (!left.empty()) status.newest = left.front();
  }
  ProgressBar bar("opening files");
  examine_all(files, status.job.store.path, view, abandoned(view),
              {.depth = Depth::kManifest, .progress = shown_on(bar)});
  for (const auto& id : abandoned(view)) {
    const auto* checkpoint = view.checkpoint(id);
    ++status.abandoned;
    if (checkpoint->examined) status.abandoned_bytes += checkpoint->examined->bytes;
  }
  if (status.job.attempt != nullptr) measure_progress(files, status);
  std::error_code error;
  const auto space = std::filesystem::space(status.job.store.path, error);
  if (!error) status.free_bytes = space.available;
}

Status look(const FileSystem& files, const Options& options) {
  Status status;
  status.job = look_for_job(files, options.store);
  if (options.wait) wait_for_end(files, status.job);
  measure(files, status);
  return status;
}

std::string checkpoint_text(const Status& status) {
  if (!status.newest) return "none";
  const auto& found = *status.job.store.view.checkpoint(*status.newest)->examined;
  auto text = to_text(*status.newest);
  if (found.manifest) text += ", " + age_text(found.manifest->created) + " ago";
  return text + ", " + bytes_text(found.bytes) + ", " + to_text(standing_of(found, true)) +
         (found.why.empty() ? "" : ": " + found.why);
}

double seconds_until(std::int64_t epoch_s) {
  return static_cast<double>(epoch_s) - static_cast<double>(std::time(nullptr));
}

bool is_well(const JobSight& job) {
  const auto& outcome = job.attempt->outcome;
  return job.alive || (outcome && outcome->outcome == OutcomeKind::kFinished);
}

void add_attempt(std::vector<Row>& rows, const Status& status) {
  if (status.job.attempt == nullptr) {
    rows.push_back({"attempt", "none yet"});
    return;
  }
  const auto& attempt = *status.job.attempt;
  rows.push_back({"attempt", std::to_string(attempt.number)});
  rows.push_back(
      {"state", {state_text(status.job), is_well(status.job) ? Colour::kGreen : Colour::kYellow}});
  if (attempt.claim) {
    const auto& claim = *attempt.claim;
    rows.push_back({"run", claim.run});
    rows.push_back({"host", claim.process.host + ", process " + std::to_string(claim.process.pid)});
    if (claim.job) rows.push_back({"job", *claim.job});
    rows.push_back({"ranks", std::to_string(claim.world_size)});
  }
  rows.push_back({"started from", origin_text(attempt)});
  if (!attempt.heartbeat) return;
  rows.push_back(
      {"iteration",
       std::to_string(attempt.heartbeat->iteration) +
           (status.final_iteration ? " of " + std::to_string(*status.final_iteration) : "")});
  if (status.rate) {
    std::array<char, 48> text{};
    std::snprintf(text.data(), text.size(), "%.3g iterations/s on average", *status.rate);
    rows.push_back({"rate", text.data()});
  }
  if (status.still_s)
    rows.push_back({"stands still?",
                    {"no metrics for " + duration_text(*status.still_s) +
                         ": is it saving or evaluating, or does a rank hang?",
                     Colour::kYellow}});
  if (status.left_s) rows.push_back({"time left", "about " + duration_text(*status.left_s)});
  rows.push_back({"last committed",
                  attempt.heartbeat->last_committed
                      ? to_text(CheckpointId{attempt.number, *attempt.heartbeat->last_committed})
                      : "nothing yet"});
  if (!status.job.alive) return;
  if (status.served && attempt.claim)
    rows.push_back({"status at", served_text(*status.served, attempt.claim->process.host)});
  if (const auto next = next_save(attempt))
    rows.push_back(
        {"next save", "iteration " + std::to_string(next->iteration) + or_earlier_text(*next)});
  if (attempt.claim && attempt.claim->deadline)
    rows.push_back({"deadline", "in " + duration_text(seconds_until(*attempt.claim->deadline))});
}

void print_for_people(const Status& status) {
  std::vector<Row> rows = {{"store id", status.job.store.view.id.value_or("none yet")}};
  add_attempt(rows, status);
  rows.push_back({"newest checkpoint", checkpoint_text(status)});
  rows.push_back({"free space", status.free_bytes ? bytes_text(*status.free_bytes) : "?"});
  rows.push_back({"abandoned", count_text(status.abandoned, "checkpoint") + ", " +
                                   bytes_text(status.abandoned_bytes)});
  for (const auto& record : damaged_records(status.job.store.view))
    rows.push_back({"damaged", {record.file + ": " + record.why, Colour::kRed}});
  std::fputs(table(rows, screen_of_stdout()).c_str(), stdout);
}

ordered_json checkpoint_json(const Status& status) {
  if (!status.newest) return nullptr;
  const auto& found = *status.job.store.view.checkpoint(*status.newest)->examined;
  return {{"attempt", status.newest->attempt},
          {"iteration", status.newest->iteration},
          {"state", to_text(standing_of(found, true))},
          {"bytes", found.bytes},
          {"created", found.manifest ? ordered_json(found.manifest->created) : ordered_json()}};
}

void print_json(const Status& status) {
  static const AttemptView kNone;
  const auto& attempt = status.job.attempt != nullptr ? *status.job.attempt : kNone;
  const auto& claim = attempt.claim;
  const auto& beat = attempt.heartbeat;
  const auto& outcome = attempt.outcome;
  ordered_json out;
  out["store_id"] = or_null(status.job.store.view.id);
  out["attempt"] = status.job.attempt != nullptr ? ordered_json(attempt.number) : ordered_json();
  out["alive"] = status.job.alive;
  out["run"] = claim ? ordered_json(claim->run) : ordered_json();
  out["job"] = claim ? or_null(claim->job) : ordered_json();
  out["host"] = claim ? ordered_json(claim->process.host) : ordered_json();
  out["process"] = claim ? ordered_json(claim->process.pid) : ordered_json();
  out["listen"] = status.served ? ordered_json(to_text(*status.served)) : ordered_json();
  out["world_size"] = claim ? ordered_json(claim->world_size) : ordered_json();
  out["iteration"] = beat ? ordered_json(beat->iteration) : ordered_json();
  out["final_iteration"] = or_null(status.final_iteration);
  out["iterations_per_second"] = or_null(status.rate);
  out["still_seconds"] = or_null(status.still_s);
  out["eta_seconds"] = or_null(status.left_s);
  const auto save = next_save(attempt);
  out["next_save"] = save ? ordered_json(save->iteration) : ordered_json();
  out["save_minutes"] = save ? or_null(save->minutes) : ordered_json();
  out["deadline"] = claim ? or_null(claim->deadline) : ordered_json();
  out["last_committed_iteration"] = beat ? or_null(beat->last_committed) : ordered_json();
  out["outcome"] = outcome ? ordered_json(to_text(outcome->outcome)) : ordered_json();
  out["exit_code"] = outcome ? ordered_json(outcome->exit_code) : ordered_json();
  out["error"] = outcome ? or_null(outcome->error) : ordered_json();
  out["checkpoint"] = checkpoint_json(status);
  out["free_bytes"] = or_null(status.free_bytes);
  out["abandoned_checkpoints"] = status.abandoned;
  out["abandoned_bytes"] = status.abandoned_bytes;
  out["damaged"] = ordered_json::array();
  for (const auto& record : damaged_records(status.job.store.view))
    out["damaged"].push_back({{"file", record.file}, {"why", record.why}});
  std::puts(json_text(out, 2).c_str());
}

}  // namespace

Command status_command() {
  const auto options = std::make_shared<Options>();
  Command command;
  command.name = "status";
  command.purpose = "says whether a job is at work on a store, and how far it is";
  command.description =
      "Works on any host that sees the store, from its files alone. Whether a job on another host "
      "is alive shows in its heartbeat, which is watched for up to three of its periods.";
  command.arguments = {store_argument(options->store)};
  command.options = {
      flag("--json", options->json, "one JSON object"),
      flag("--wait", options->wait, "for the end of the job, then tell how it ended")};
  command.exit_codes = {{0, "a job is at work"},
                        {1, "no job is at work: the last outcome is shown"},
                        {2, "a mistake in the command, or no such store"},
                        {3, "the store can't be read now"}};
  command.examples = {"lockstep status checkpoints",
                      "lockstep status checkpoints --json | jq .iteration"};
  command.run = [options](FileSystem& files) {
    const auto status = look(files, *options);
    options->json ? print_json(status) : print_for_people(status);
    return status.job.alive ? 0 : 1;
  };
  return command;
}

}  // namespace lockstep::cli
