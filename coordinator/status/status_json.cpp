#include "coordinator/status/status_json.h"

#include <algorithm>

#include "coordinator/json_text.h"
#include "coordinator/metrics_lines.h"
#include "coordinator/run_identity.h"
#include "coordinator/status/json_parts.h"

namespace lockstep {

namespace {

// A figure that is 0 while it is not known.
Json known(double value) {
  return value > 0 ? number(value) : Json();
}

// Shares of their sum.
Json shares_json(const std::map<std::string, double>& seconds) {
  double sum = 0;
  for (const auto& [name, part_s] : seconds)
    sum += part_s;
  if (!(sum > 0)) return nullptr;
  auto json = Json::object();
  for (const auto& [name, part_s] : seconds)
    json[name] = part_s / sum;
  return json;
}

const AttemptView& newest_of(const StatusPicture& picture) {
  static const AttemptView kNone;
  return picture.store->newest ? *picture.store->newest : kNone;
}

void add_identity(const StatusPicture& picture, const Facts& facts, Json& out) {
  const auto& store = *picture.store;
  const auto& attempt = newest_of(picture);
  const auto& claim = attempt.claim;
  out["version"] = LOCKSTEP_VERSION;
  out["source"] = picture.job ? "job" : "files";
  out["time"] = utc_text(picture.wall_s);
  out["store"] = store.path;
  out["store_id"] = or_null(store.id);
  out["store_time"] =
      store.seen_s > 0 ? Json(utc_text(picture.wall_s - (picture.now_s - store.seen_s))) : Json();
  out["store_error"] = or_null(store_trouble(picture));
  out["run"] = store.newest ? or_null(run_of(attempt)) : Json();
  out["attempt"] = store.newest ? Json(attempt.number) : Json();
  out["alive"] = facts.alive;
  out["state"] = facts.state;
  out["state_text"] = facts.state_text;
  out["phase"] = picture.job ? Json(to_text(picture.job->phase)) : Json();
  out["host"] = claim ? Json(claim->process.host) : Json();
  out["process"] = claim ? Json(claim->process.pid) : Json();
  out["job"] = claim ? or_null(claim->job) : Json();
  out["world_size"] = claim ? Json(claim->world_size) : Json();
  out["started"] = claim ? Json(claim->created) : Json();
}

void add_progress(const Facts& facts, Json& out) {
  out["iteration"] = or_null(facts.iteration);
  out["start_iteration"] = facts.start_iteration;
  out["final_iteration"] = or_null(facts.final_iteration);
  out["samples"] = or_null(facts.position);
  out["iterations_per_second"] = or_null(facts.iterations_per_second);
  out["samples_per_second"] = or_null(facts.samples_per_second);
  out["eta_seconds"] = or_null(facts.eta_s);
  out["loss"] = or_null(facts.loss);
  out["accuracy"] = or_null(facts.accuracy);
  out["gradient_norm"] = or_null(facts.gradient_norm);
  out["learning_rate"] = or_null(facts.learning_rate);
  out["spent"] = shares_json(facts.last_spent_s);
  out["evaluation"] = nullptr;
  if (facts.evaluation)
    out["evaluation"] = {{"iteration", facts.evaluation->iteration},
                         {"metrics", metrics_json(facts.evaluation->metrics)}};
}

Json saves_json(const SaveFigures& saves) {
  auto recent = Json::array();
  std::vector<double> seconds;
  for (const auto& save : saves.recent) {
    recent.push_back({{"iteration", save.iteration},
                      {"seconds", save.seconds},
                      {"held_seconds", save.held_s},
                      {"bytes", save.bytes}});
    seconds.push_back(save.seconds);
  }
  std::ranges::sort(seconds);
  const bool some = !seconds.empty();
  return {{"committed", saves.committed},
          {"failed", saves.failed},
          {"under_way", or_null(saves.under_way)},
          {"last_seconds", some ? Json(saves.recent.back().seconds) : Json()},
          {"median_seconds", some ? Json(seconds[seconds.size() / 2]) : Json()},
          {"recent", recent}};
}

void add_saves(const StatusPicture& picture, const Facts& facts, Json& out) {
  const auto& store = *picture.store;
  const auto& attempt = newest_of(picture);
  const auto& committed = facts.last_committed;
  out["last_committed_iteration"] = or_null(committed);
  out["last_committed"] =
      committed ? Json(to_text(CheckpointId{attempt.number, *committed})) : Json();
  out["last_durable_age_seconds"] = or_null(facts.durable_age_s);
  const auto save = facts.alive ? store.next_save : std::nullopt;
  out["next_save"] = save ? Json(save->iteration) : Json();
  out["save_minutes"] = save ? or_null(save->minutes) : Json();
  out["checkpoint"] = store.newest_checkpoint ? row_json(*store.newest_checkpoint) : Json();
  out["saves"] = picture.job ? saves_json(picture.job->saves) : Json();
}

void add_limits(const StatusPicture& picture, const Facts& facts, Json& out) {
  const auto& store = *picture.store;
  const auto& attempt = newest_of(picture);
  const auto deadline = attempt.claim ? attempt.claim->deadline : std::nullopt;
  out["deadline"] = or_null(deadline);
  out["deadline_seconds"] = nullptr;
  if (deadline && facts.alive)
    out["deadline_seconds"] = static_cast<double>(*deadline) - picture.wall_s;
  const auto abandoned = abandoned_of(store);
  out["free_bytes"] = or_null(store.free_bytes);
  out["checkpoints"] = store.checkpoints.size();
  out["abandoned_checkpoints"] = abandoned.checkpoints;
  out["abandoned_bytes"] = abandoned.bytes;
  const bool over = attempt.outcome && !facts.alive;
  out["exit_code"] = over ? Json(attempt.outcome->exit_code) : Json();
  out["error"] = over ? or_null(attempt.outcome->error) : Json();
  out["lost_iterations"] = or_null(store.lost_iterations);
}

Json ranks_json(const JobFigures& job) {
  constexpr std::size_t kMost = 64;
  const auto lags = lags_of(job.ranks);
  auto slowest = Json::array();
  for (const auto& [rank, lag_s] : lags.slowest_first) {
    if (slowest.size() == kMost) break;
    slowest.push_back({{"rank", rank.rank},
                       {"host", rank.host},
                       {"phase", rank.heard ? Json(to_text(rank.phase)) : Json()},
                       {"work_seconds", known(rank.work_s)},
                       {"lag_seconds", rank.work_s > 0 ? Json(lag_s) : Json()},
                       {"silent_seconds", rank.heard ? Json(rank.silent_s) : Json()}});
  }
  return {{"total", job.ranks.size()},
          {"heard", lags.heard},
          {"median_work_seconds", known(lags.median_work_s)},
          {"slowest", slowest}};
}

Json commands_json(const std::string& store) {
  const auto word = shell_word(store);
  return {{"save", "lockstep save " + word},
          {"stop", "lockstep stop " + word},
          {"list", "lockstep ls " + word + " --all"},
          {"top", "lockstep top " + word}};
}

}  // namespace

std::string shell_word(const std::string& text) {
  const bool plain = !text.empty() && std::ranges::all_of(text, [](unsigned char c) {
    return std::isalnum(c) != 0 ||
           std::string_view("_-./:@%+=,").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (plain) return text;
  std::string word = "'";
  for (const char c : text)
    word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

std::string status_json(const StatusPicture& picture) {
  const auto facts = facts_of(picture);
  Json out;
  add_identity(picture, facts, out);
  add_progress(facts, out);
  add_saves(picture, facts, out);
  add_limits(picture, facts, out);
  out["ranks"] = nullptr;
  if (picture.job && !picture.job->ranks.empty()) out["ranks"] = ranks_json(*picture.job);
  out["damaged"] = Json::array();
  for (const auto& record : picture.store->damaged)
    out["damaged"].push_back({{"file", record.file}, {"why", record.why}});
  out["commands"] = commands_json(picture.store->path);
  const bool decided = picture.store->newest && picture.store->newest->decision;
  out["revisions"] = {{"lineage", picture.store->lineage_revision},
                      {"curves", picture.store->curves_revision},
                      {"decision", decided ? picture.store->newest->number : 0}};
  return json_text(out);
}

}  // namespace lockstep
