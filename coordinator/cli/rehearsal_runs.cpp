#include "coordinator/cli/rehearsal_runs.h"

#include <algorithm>
#include <csignal>
#include <deque>
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

constexpr double kPollSeconds = 0.01;

// What a store shows of the attempt that a launch has made.
struct Sight {
  std::int64_t attempt = 0;
  std::optional<Heartbeat> beat;
  std::optional<std::int64_t> restored;  // nullopt: not decided yet
  bool over = false;                     // it has an outcome
};

// nullopt: not there, or can't be read just now; who waits looks again.
template <typename Read>
auto try_to_read(const Read& read) -> decltype(std::optional(read())) {
  try {
    return read();
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::optional<Sight> look(const FileSystem& files, const std::string& store, std::int64_t after) {
  Sight sight;
  const auto entries = try_to_read([&] { return files.list(attempts_path(store)); });
  if (!entries) return std::nullopt;
  for (const auto& entry : *entries)
    sight.attempt = std::max(sight.attempt, parse_attempt_folder(entry.name).value_or(0));
  if (sight.attempt <= after) return std::nullopt;
  const auto folder = attempt_path(store, sight.attempt);
  if (const auto text = try_to_read([&] { return read_small_file(files, folder + "/heartbeat"); }))
    sight.beat = parse_heartbeat(*text);
  const auto decision = try_to_read([&] {
    return parse_decision(read_small_file(files, folder + "/decision.json"), "decision.json");
  });
  if (decision) sight.restored = decision->parent ? decision->parent->checkpoint.iteration : 0;
  sight.over =
      try_to_read([&] { return files.info(folder + "/outcome.json").has_value(); }).value_or(false);
  return sight;
}

// One launch, from outside.
struct Launch {
  int code = 0;
  Sight last;  // what was seen at its end
  bool struck = false;
  std::optional<double> first_s;  // from its start to its first new iteration
  std::optional<double> over_s;   // ... to its outcome
};

// What interrupts it, and when.
struct Strike {
  std::function<bool(const Heartbeat&)> is_due;
  std::function<void(Launched&, std::int64_t attempt)> hit;
  bool kills = false;
};

class Watch {
 public:
  Watch(const Stage& stage, std::string store, std::int64_t after, const Strike& strike)
      : stage_(stage), store_(std::move(store)), after_(after), strike_(strike) {}

  Launch until_end(Launched& launched) {
    heard_s_ = started_s_;
    for (;;) {
      if (stage_.held.has_come()) {
        stage_.say("interrupted: what was launched is ended");
        throw Interrupted();
      }
      const auto code = launched.exit_code();  // before the look, which then sees all
      take_in(launched);
      if (code) {
        seen_.code = *code;
        return seen_;
      }
      check_limit(launched);
      clock_.sleep(kPollSeconds);
    }
  }

 private:
  double now() const { return clock_.now_s() - started_s_; }

  void take_in(Launched& launched) {
    const auto sight = look(stage_.files, store_, after_);
    if (!sight) return;
    const auto before = seen_.last.beat ? seen_.last.beat->iteration : -1;
    seen_.last.attempt = sight->attempt;
    seen_.last.over = sight->over;
    if (sight->restored) seen_.last.restored = sight->restored;
    if (sight->beat) seen_.last.beat = sight->beat;
    if (!seen_.last.beat) return;
    const auto& beat = *seen_.last.beat;
    if (beat.iteration > before) heard_s_ = clock_.now_s();
    if (!seen_.first_s && seen_.last.restored && beat.iteration > *seen_.last.restored)
      seen_.first_s = now();
    if (!seen_.over_s && sight->over) seen_.over_s = now();
    if (!strike_.is_due || seen_.struck || !strike_.is_due(beat)) return;
    seen_.struck = true;
    heard_s_ = clock_.now_s();
    strike_.hit(launched, sight->attempt);
  }

  void check_limit(Launched& launched) {
    constexpr double kAfterKillSeconds = 30;  // mpirun reaps the other ranks within seconds
    const double silent_s = clock_.now_s() - heard_s_;
    if (seen_.struck && strike_.kills && silent_s > kAfterKillSeconds) {
      stage_.say("the launcher goes on without rank 0, and is ended; srun has --kill-on-bad-exit");
      launched.end();
    } else if (silent_s > stage_.limit_seconds) {
      char text[96];
      std::snprintf(text, sizeof text, "no new iteration for %.0f s (--limit)",
                    stage_.limit_seconds);
      throw Error(ErrorCode::kIo, text);
    }
  }

  const Stage& stage_;
  const std::string store_;
  const std::int64_t after_;
  const Strike& strike_;
  const Clock clock_ = steady_clock();
  const double started_s_ = clock_.now_s();
  double heard_s_ = 0;  // when there was a new iteration
  Launch seen_;
};

std::string log_of(const Stage& stage, RunKind kind) {
  return stage.scratch + "/" + to_text(kind) + ".log";
}

void say_end_of(const Stage& stage, const std::string& log) {
  constexpr std::size_t kLines = 12;
  std::ifstream in(log);
  std::deque<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    if (!line.empty()) lines.push_back(line);
    if (lines.size() > kLines) lines.pop_front();
  }
  for (const auto& line : lines)
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
  const auto claim =
      try_to_read([&] { return parse_claim(read_small_file(files, path), "claim.json"); });
  if (claim && look_for(claim->process) == LocalSight::kThere) {
    ::kill(static_cast<pid_t>(claim->process.pid), SIGKILL);
  } else {
    launched.kill_group();
  }
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
  std::int64_t launches = 0;

  std::string name() const { return to_text(kind) + ", launch " + std::to_string(launches); }

  Launch launch(std::int64_t after, const Strike& strike) {
    ++launches;
    const auto clock = steady_clock();
    const double began_s = clock.now_s();
    try {
      Launched launched(words, log_of(stage, kind), foreign_variables(), stage.held);
      const auto seen = Watch(stage, store_of(stage, kind), after, strike).until_end(launched);
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
    throw Error(code == kMistake ? ErrorCode::kInvalidConfig : ErrorCode::kIo, name() + ": " + why);
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
  Making making{stage, kind, words_of(stage, config, scale, kind)};
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
