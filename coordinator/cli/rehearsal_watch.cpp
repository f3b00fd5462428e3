#include "coordinator/cli/rehearsal_watch.h"

#include <algorithm>
#include <cstdio>

#include "common/decision.h"
#include "common/error.h"
#include "common/names.h"
#include "coordinator/cli/progress_bar.h"
#include "coordinator/liveness.h"

namespace lockstep::cli {
namespace {

constexpr double kPollSeconds = 0.01;

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

class Watch {
 public:
  Watch(const Stage& stage, const Watched& watched, const Strike& strike)
      : stage_(stage), watched_(watched), strike_(strike) {}

  Launch until_end(Launched& launched) {
    heard_s_ = started_s_;
    for (;;) {
      if (stage_.held.has_come()) {
        say("interrupted: what was launched is ended");
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
  void say(const std::string& text) {
    bar_.reset();
    stage_.say(text);
  }

  void show(std::int64_t iteration) {
    const auto at = [](std::int64_t n) {
      return static_cast<std::uint64_t>(std::max<std::int64_t>(n, 0));
    };
    if (!bar_)
      bar_.emplace(watched_.name + ", iterations", Unit::kThings, at(watched_.end), at(iteration));
    bar_->reach(at(iteration));
  }

  double now() const { return clock_.now_s() - started_s_; }

  void take_in(Launched& launched) {
    const auto sight = look(stage_.files, watched_.store, watched_.after);
    if (!sight) return;
    const auto before = seen_.last.beat ? seen_.last.beat->iteration : -1;
    seen_.last.attempt = sight->attempt;
    seen_.last.over = sight->over;
    if (sight->restored) seen_.last.restored = sight->restored;
    if (sight->beat) seen_.last.beat = sight->beat;
    if (!seen_.last.beat) return;
    const auto& beat = *seen_.last.beat;
    show(beat.iteration);
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
      say("the launcher goes on without rank 0, and is ended; srun has --kill-on-bad-exit");
      launched.end();
    } else if (silent_s > stage_.limit_seconds) {
      char text[96];
      std::snprintf(text, sizeof text, "no new iteration for %.0f s (--limit)",
                    stage_.limit_seconds);
      throw Error(ErrorCode::kIo, text);
    }
  }

  const Stage& stage_;
  const Watched& watched_;
  const Strike& strike_;
  const Clock clock_ = steady_clock();
  const double started_s_ = clock_.now_s();
  double heard_s_ = 0;  // when there was a new iteration
  Launch seen_;
  std::optional<ProgressBar> bar_;  // from the first iteration that is heard of
};

}  // namespace

Launch watch_launch(const Stage& stage, const Watched& watched, const Strike& strike,
                    Launched& launched) {
  return Watch(stage, watched, strike).until_end(launched);
}

}  // namespace lockstep::cli
