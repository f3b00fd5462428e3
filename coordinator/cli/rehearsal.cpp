#include "coordinator/cli/rehearsal.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iterator>

#include <nlohmann/json.hpp>

#include "common/error.h"
#include "common/log.h"
#include "coordinator/amounts.h"
#include "coordinator/cli/table.h"
#include "coordinator/json_text.h"

namespace lockstep::cli {

namespace {

using nlohmann::ordered_json;

// Of the job, DESIGN's exit codes.
constexpr int kMistake = 2;
constexpr int kPreempted = 75;
constexpr int kStopped = 77;

std::string set(const std::string& key, std::int64_t value) {
  return key + "=" + std::to_string(value);
}

// A JSON text is a YAML one, whatever a path holds.
std::string set(const std::string& key, const std::string& text) {
  return key + "=" + json_text(text);
}

std::string seconds_text(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", seconds);
  return text;
}

}  // namespace

std::string to_text(RunKind kind) {
  switch (kind) {
    case RunKind::kStraight:
      return "straight";
    case RunKind::kCut:
      return "cut";
    case RunKind::kKilled:
      return "killed";
  }
  return "";
}

std::vector<std::string> overrides_for(const Config& config, const Scale& scale,
                                       const RunPlace& place) {
  constexpr std::int64_t kNoLimit = 1'000'000;
  std::vector<std::string> sets = {
      set("store", place.store),
      set("run.id", place.run),
      set("run.max_iterations", scale.end()),
      set("checkpoint.interval", scale.interval()),
      // The last one is compared; one more to go back to.
      set("checkpoint.keep_last", 2),
      // An end of the allocation is not part of the piece.
      "preempt.deadline=none",
      // What is seen of a run is its heartbeat.
      "watchdog.heartbeat_seconds=0.1",
      "log.format=text",
      "log.level=info",
  };
  if (config.run.max_epochs) sets.push_back(set("run.max_epochs", kNoLimit));
  // The learning rates stay those of the long run.
  if (config.run.max_iterations && !config.schedule.iterations)
    sets.push_back(
        set("schedule.iterations", std::max<std::int64_t>(*config.run.max_iterations, 1)));
  if (config.checkpoint.keep_best) sets.push_back(set("evaluate.interval", scale.interval()));
  if (std::ranges::find(config.preempt.signals, "USR1") == config.preempt.signals.end())
    sets.emplace_back("preempt.signals=[USR1]");
  if (config.control_listen != "off") sets.emplace_back("control.listen=off");
  if (config.metrics.textfile) sets.push_back(set("metrics.textfile", place.textfile));
  // Any other source than `from` is in the user's store.
  sets.emplace_back(config.restore.from ? "restore.once=true" : "restore=auto");
  return sets;
}

Ending judge_first(RunKind kind, int code, bool struck) {
  if (kind == RunKind::kStraight) return code == 0 ? Ending::kAsMeant : Ending::kFailed;
  if (code == 0) return Ending::kTooLate;
  if (!struck) return Ending::kFailed;
  if (kind == RunKind::kCut) return code == kPreempted ? Ending::kAsMeant : Ending::kFailed;
  const bool says_why = code == kMistake || code == kPreempted || code == kStopped;
  return says_why ? Ending::kFailed : Ending::kAsMeant;
}

std::string objection(RunKind kind, int code) {
  constexpr int kKilledBySignal = 128;
  std::string text = "ended with " + std::to_string(code);
  if (kind != RunKind::kCut) return text;
  text += ", expected 75";
  if (code > kKilledBySignal) text += "; the launcher must pass USR1 on to its ranks";
  return text;
}

std::int64_t more_iterations(std::int64_t before, double seconds) {
  constexpr double kWantedSeconds = 5;
  constexpr std::int64_t kAtLeastTimes = 4;
  constexpr std::int64_t kMost = 1'000'000;  // or one that is over at once never ends
  const double each = std::max(seconds, 1.0e-3) / static_cast<double>(before);
  const auto wanted = static_cast<std::int64_t>(
      std::ceil(std::min(kWantedSeconds / each, static_cast<double>(kMost))));
  return std::max(wanted, kAtLeastTimes * before);
}

std::int64_t lost_iterations(std::int64_t trained, std::int64_t restored) {
  return std::max<std::int64_t>(trained - restored, 0);
}

bool is_time_to_cut(const Scale& scale, std::int64_t iteration) {
  return iteration > scale.start + scale.interval();
}

bool is_time_to_kill(const Scale& scale, std::int64_t iteration,
                     std::optional<std::int64_t> committed) {
  return committed && iteration > *committed + scale.interval() / 3;
}

std::vector<std::string> telling_lines(const std::vector<std::string>& log) {
  constexpr std::size_t kMost = 12;
  constexpr std::size_t kDashes = 20;  // at least
  const auto is_border = [](const std::string& line) {
    return line.size() >= kDashes && line.find_first_not_of('-') == std::string::npos;
  };
  std::vector<std::string> lines;
  for (auto at = log.begin(); at != log.end(); ++at) {
    if (!is_border(*at)) {
      if (!at->empty()) lines.push_back(*at);
      continue;
    }
    const auto border = std::find_if(at + 1, log.end(), is_border);
    if (border == log.end()) continue;  // a lone one: no message
    std::copy(at + 1, std::find(at + 1, border, std::string()), std::back_inserter(lines));
    at = border;
  }
  if (lines.size() > kMost) lines.erase(lines.begin(), lines.end() - kMost);
  return lines;
}

void require_room(std::uint64_t free_bytes, std::uint64_t checkpoint_bytes,
                  std::uint64_t checkpoints) {
  const auto wanted = checkpoints * checkpoint_bytes;
  if (free_bytes > wanted) return;
  throw Error(ErrorCode::kIo, "no room beside the store: " + bytes_text(free_bytes) +
                                  " free, and " + count_text(checkpoints, "checkpoint") + " of " +
                                  bytes_text(checkpoint_bytes) + " are still to be written (" +
                                  bytes_text(wanted) + "); make room, or --set store=ELSEWHERE");
}

std::vector<std::string> differences_of(const StateDiff& diff) {
  std::vector<std::string> lines;
  for (const auto* list : {&diff.facts, &diff.shapes})
    for (const auto& one : *list)
      lines.push_back(one.what + ": " + one.b + ", straight " + one.a);
  for (const auto& tensor : diff.contents) {
    char largest[64] = "";
    if (tensor.largest)
      std::snprintf(largest, sizeof largest, ", by at most %.6g", *tensor.largest);
    lines.push_back(tensor.name + ": " + std::to_string(tensor.different) + " of " +
                    std::to_string(tensor.elements) + " elements differ" + largest);
  }
  return lines;
}

bool Rehearsal::equal() const {
  return !runs.empty() &&
         std::ranges::all_of(runs, [](const RunFound& run) { return run.differences.empty(); });
}

namespace {

Cell state_cell(const RunFound& run) {
  if (run.kind == RunKind::kStraight) return "-";
  if (run.differences.empty()) return {"equal", Colour::kGreen};
  return {"differs", Colour::kRed};
}

Row row_of(const RunFound& run) {
  std::string codes;
  for (const int code : run.exit_codes)
    codes += (codes.empty() ? "" : ", ") + std::to_string(code);
  return {to_text(run.kind),
          codes,
          run.checkpoint ? to_text(*run.checkpoint) : "-",
          state_cell(run),
          run.lost ? std::to_string(*run.lost) : "-",
          run.resume_seconds ? seconds_text(*run.resume_seconds) : "-"};
}

// The first lines of what differs, and how many there are.
std::string differences_text(const RunFound& run) {
  constexpr std::size_t kShown = 4;
  if (run.differences.empty()) return "";
  std::string text = to_text(run.kind) + " differs from straight:\n";
  for (std::size_t i = 0; i < std::min(kShown, run.differences.size()); ++i)
    text += "  " + escape_controls(run.differences[i]) + "\n";
  if (run.differences.size() > kShown)
    text += "  and " + std::to_string(run.differences.size() - kShown) + " more\n";
  return text;
}

}  // namespace

std::string to_text(const Rehearsal& rehearsal, const Screen& screen) {
  std::vector<Row> rows = {
      {"RUN", "EXIT CODES", "CHECKPOINT", "STATE", "ITERATIONS LOST", "SECONDS TO RESUME"}};
  std::int64_t compared = 0;
  for (const auto& run : rehearsal.runs) {
    rows.push_back(row_of(run));
    compared = std::max(compared, run.compared);
  }
  auto text = table(rows, screen) + "\n";
  for (const auto& run : rehearsal.runs)
    text += differences_text(run);
  const auto& scale = rehearsal.scale;
  text += count_text(static_cast<std::size_t>(scale.iterations), "iteration") +
          (scale.start > 0 ? " from " + std::to_string(scale.start) + " on" : "") + ", " +
          count_text(static_cast<std::size_t>(rehearsal.ranks), "rank") + ", a checkpoint every " +
          std::to_string(scale.interval()) +
          "; compared bit for bit: " + count_text(static_cast<std::size_t>(compared), "tensor") +
          ", iteration, data position\n";
  text += rehearsal.equal() ? "to resume equals never having stopped\n"
                            : "to resume is NOT the same as never having stopped\n";
  return text;
}

namespace {

ordered_json json_of(const RunFound& run) {
  const bool straight = run.kind == RunKind::kStraight;
  return {{"run", to_text(run.kind)},
          {"exit_codes", run.exit_codes},
          {"checkpoint", run.checkpoint ? ordered_json(to_text(*run.checkpoint)) : ordered_json()},
          {"equal", straight ? ordered_json() : ordered_json(run.differences.empty())},
          {"differences", run.differences},
          {"iterations_lost", or_null(run.lost)},
          {"seconds_to_resume", run.resume_seconds
                                    ? ordered_json(std::round(*run.resume_seconds * 1000) / 1000)
                                    : ordered_json()}};
}

}  // namespace

std::string to_json(const Rehearsal& rehearsal) {
  ordered_json out;
  out["equal"] = rehearsal.runs.empty() ? ordered_json() : ordered_json(rehearsal.equal());
  out["exit_code"] = rehearsal.exit_code;
  out["error"] = or_null(rehearsal.error);
  out["start"] = rehearsal.scale.start;
  out["iterations"] = rehearsal.scale.iterations;
  out["interval"] = rehearsal.scale.interval();
  out["ranks"] = rehearsal.ranks;
  out["runs"] = ordered_json::array();
  for (const auto& run : rehearsal.runs)
    out["runs"].push_back(json_of(run));
  out["kept"] = or_null(rehearsal.kept);
  return json_text(out, 2);
}

}  // namespace lockstep::cli
