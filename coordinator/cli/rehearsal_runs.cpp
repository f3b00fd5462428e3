#include "coordinator/cli/rehearsal_runs.h"

#include <algorithm>
#include <csignal>
#include <fstream>

#include "common/attempt_records.h"
#include "common/decision.h"
#include "common/error.h"
#include "common/log.h"
#include "common/names.h"
#include "coordinator/catalog.h"
#include "coordinator/cli/store_reading.h"
#include "coordinator/liveness.h"

namespace lockstep::cli {

namespace {

std::string log_of(const Stage& stage, RunKind kind) {
  return stage.scratch + "/" + to_text(kind) + ".log";
}

void say_end_of(const Stage& stage, const std::string& log) {
  std::ifstream in(log);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);)
    lines.push_back(line);
  for (const auto& line : telling_lines(lines))
    stage.say("    | " + line);
}

std::vector<std::string> words_of(const Stage& stage, const Config& config, const Scale& scale,
                                  RunKind kind) {
  const auto nonce = stage.scratch.substr(stage.scratch.rfind('-') + 1);
  const RunPlace place{"rehearse-" + to_text(kind) + "-" + nonce, store_of(stage, kind),
                       stage.scratch + "/" + to_text(kind) + ".prom"};
  auto words = stage.launcher;
  words.push_back(program_beside("lockstepd"));
  words.push_back(stage.config);
  for (const auto& sets : {stage.overrides, overrides_for(config, scale, place)})
    for (const auto& one : sets)
      words.insert(words.end(), {"--set", one});
  return words;
}

// Kills rank 0 where it is on this host, else the launcher with its group: as if the machine that
// it is on had gone.
void kill_rank_0(const FileSystem& files, const std::string& store, std::int64_t attempt,
                 Launched& launched) {
  const auto path = attempt_path(store, attempt) + "/claim.json";
  try {
    const auto process = parse_claim(read_small_file(files, path), "claim.json").process;
    if (look_for(process) == LocalSight::kThere) {
      ::kill(static_cast<pid_t>(process.pid), SIGKILL);
      return;
    }
  } catch (const Error&) {
    // Not to be read just now: nobody knows where rank 0 is.
  }
  launched.kill_group();
}

Strike strike_of(const Stage& stage, const Scale& scale, RunKind kind) {
  if (kind == RunKind::kCut)
    return {[scale](const Heartbeat& beat) { return is_time_to_cut(scale, beat.iteration); },
            [](Launched& launched, std::int64_t) { launched.signal(SIGUSR1); }};
  if (kind == RunKind::kKilled)
    return {[scale](const Heartbeat& beat) {
              return is_time_to_kill(scale, beat.iteration, beat.last_committed);
            },
            [&stage, kind](Launched& launched, std::int64_t attempt) {
              kill_rank_0(stage.files, store_of(stage, kind), attempt, launched);
            },
            true};
  return {};
}

// One run while it is made.
struct Making {
  const Stage& stage;
  RunKind kind;
  std::vector<std::string> words;
  std::int64_t end = 0;  // the last iteration
  std::int64_t launches = 0;

  std::string name() const { return to_text(kind) + ", launch " + std::to_string(launches); }

  Launch launch(std::int64_t after, const Strike& strike) {
    ++launches;
    const auto clock = steady_clock();
    const double began_s = clock.now_s();
    try {
      Launched launched(words, log_of(stage, kind), foreign_variables(), stage.held);
      const auto seen =
          watch_launch(stage, {name(), store_of(stage, kind), after, end}, strike, launched);
      char text[64];
      std::snprintf(text, sizeof text, ": exit code %d after %.1f s", seen.code,
                    clock.now_s() - began_s);
      stage.say(name() + text);
      return seen;
    } catch (const Error& e) {
      say_end_of(stage, log_of(stage, kind));
      throw Error(e.code(), name() + ": " + e.what());
    }
  }

  [[noreturn]] void fail(int code, const std::string& why) const {
    constexpr int kMistake = 2;
    say_end_of(stage, log_of(stage, kind));
    const bool advises = why.find("; ") != std::string::npos;
    throw Error(code == kMistake ? ErrorCode::kInvalidConfig : ErrorCode::kIo,
                name() + ": " + why +
                    (advises ? "" : "; its log ends as shown above, --keep keeps all of it"));
  }
};

// The last iteration that a launch is known to have trained.
std::int64_t trained_by(const Launch& launch) {
  if (!launch.last.beat) return 0;
  return std::max(launch.last.beat->iteration, launch.last.beat->last_committed.value_or(0));
}

}  // namespace

const std::vector<std::string>& foreign_variables() {
  static const std::vector<std::string> names = {"LOCKSTEP_RUN_ID", "LOCKSTEP_DEADLINE",
                                                 "SLURM_JOB_END_TIME", "SLURM_RESTART_COUNT"};
  return names;
}

std::string store_of(const Stage& stage, RunKind kind) {
  return stage.scratch + "/" + to_text(kind);
}

RunDone run_one(const Stage& stage, const Config& config, const Scale& scale, RunKind kind) {
  Making making{stage, kind, words_of(stage, config, scale, kind), scale.end()};
  stage.files.make_folder(store_of(stage, kind));
  const auto first = making.launch(0, strike_of(stage, scale, kind));
  RunDone done;
  done.found.kind = kind;
  done.found.exit_codes = {first.code};
  done.seconds = first.over_s.value_or(0) - first.first_s.value_or(0);
  const auto ending = judge_first(kind, first.code, first.struck);
  if (ending == Ending::kFailed) making.fail(first.code, objection(kind, first.code));
  done.too_late = ending == Ending::kTooLate;
  if (kind != RunKind::kStraight && !done.too_late) {
    const auto second = making.launch(first.last.attempt, {});
    if (second.code != 0) making.fail(second.code, objection(RunKind::kStraight, second.code));
    if (!second.last.restored) making.fail(second.code, "it has not restored anything");
    done.found.exit_codes.push_back(second.code);
    done.found.lost = lost_iterations(trained_by(first), *second.last.restored);
    done.found.resume_seconds = second.first_s;
    // With no iteration left there was nothing to resume.
    done.too_late = *second.last.restored >= scale.end();
  }
  const auto view = scan_store(stage.files, store_of(stage, kind));
  if (const auto* attempt = view.attempt(view.highest_attempt()); attempt && attempt->claim)
    done.ranks = attempt->claim->world_size;
  if (!view.checkpoints.empty()) done.found.checkpoint = view.checkpoints.back().id;
  return done;
}

void compare_with(const Stage& stage, RunDone& done) {
  const auto& files = stage.files;
  std::vector<ShownCheckpoint> two;
  for (const auto kind : {RunKind::kStraight, done.found.kind}) {
    auto store = open_store(files, store_of(stage, kind));
    two.push_back(examine_named(files, store, "latest"));
    if (two.back().found.state == CheckpointState::kDamaged) {
      done.found.differences = {to_text(kind) + "'s " + to_text(two.back().id) +
                                " is damaged: " + two.back().found.why};
      return;
    }
  }
  try {
    const auto diff = diff_states(files, {two[0].folder, *two[0].found.manifest},
                                  {two[1].folder, *two[1].found.manifest}, [&](std::uint64_t) {
                                    if (stage.held.has_come()) throw Interrupted();
                                  });
    done.found.compared = diff.compared;
    done.found.differences = differences_of(diff);
  } catch (const Error& e) {
    if (e.code() != ErrorCode::kDamaged) throw;
    done.found.differences = {std::string("damaged: ") + e.what()};
  }
}

}  // namespace lockstep::cli
