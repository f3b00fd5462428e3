#include <algorithm>
#include <cstdio>
#include <ctime>
#include <memory>
#include <optional>

#include <pwd.h>
#include <unistd.h>

#include "common/error.h"
#include "common/log.h"
#include "coordinator/catalog.h"
#include "coordinator/cli/asked_job.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/job_sight.h"
#include "coordinator/cli/progress_bar.h"
#include "coordinator/liveness.h"
#include "coordinator/requests.h"

// lockstep save and stop: leave a request with the job that is at work on a store.

namespace lockstep::cli {

namespace {

struct Options {
  std::string store;
  bool wait = false;
};

std::string who_asks() {
  const auto* user = ::getpwuid(::geteuid());  // NOLINT(concurrency-mt-unsafe): one thread
  const auto name =
      user != nullptr ? std::string(user->pw_name) : "uid " + std::to_string(::geteuid());
  return name + " on " + this_process().host;
}

std::int64_t last_partial(const FileSystem& files, const std::string& store, std::int64_t attempt) {
  std::int64_t last = -1;
  for (const auto& entry : files.list(checkpoints_path(store)))
    if (const auto id = parse_partial_folder(entry.name); id && id->attempt == attempt)
      last = std::max(last, id->iteration);
  return last;
}

AskedJob standing_of(const FileSystem& files, const JobSight& sight, const std::string& request) {
  AskedJob now;
  now.taken = !is_waiting(files, sight.store.path, sight.attempt->number, request);
  // Each second: attempts that had ended before are not read again.
  const auto view = scan_store(files, sight.store.path, {}, sight.store.view);
  const auto* attempt = view.attempt(sight.attempt->number);
  if (attempt == nullptr)
    throw Error(ErrorCode::kIo, "attempt " + std::to_string(sight.attempt->number) +
                                    " is no longer at " + sight.store.path +
                                    ": was the store moved?");
  now.ended = attempt->outcome.has_value();
  now.being_saved = last_partial(files, sight.store.path, attempt->number);
  if (attempt->heartbeat) {
    now.iteration = attempt->heartbeat->iteration;
    now.last_committed = attempt->heartbeat->last_committed;
  }
  if (now.ended) now.last_committed = attempt->outcome->last_committed_iteration;
  return now;
}

void require_alive(const FileSystem& files, const JobSight& sight) {
  const auto& attempt = *sight.attempt;
  if (watch(files, sight.store.path, attempt, steady_clock()) == Life::kAlive) return;
  if (files.info(attempt_path(sight.store.path, attempt.number) + "/outcome.json")) return;
  throw Error(ErrorCode::kIo, "attempt " + std::to_string(attempt.number) +
                                  " has crashed meanwhile; see lockstep status " +
                                  sight.store.path);
}

// Until the job's deadline, by which it has saved and ended; 0: none is known.
std::uint64_t seconds_left(const AttemptView& attempt) {
  if (!attempt.claim || !attempt.claim->deadline) return 0;
  return static_cast<std::uint64_t>(
      std::max<std::int64_t>(*attempt.claim->deadline - std::time(nullptr), 0));
}

// Waits until the job has done what it was asked for, or has ended.
AskedJob wait_for(const FileSystem& files, const JobSight& sight, Asked asked,
                  const std::string& request, const AskedJob& before) {
  constexpr int kLooksBetweenWatches = 10;
  constexpr double kPatiencePeriods = 3;
  bool told = false;
  ProgressBar bar("", Unit::kSeconds, seconds_left(*sight.attempt));
  const auto clock = steady_clock();
  const double period_s = sight.attempt->claim ? sight.attempt->claim->heartbeat_seconds : 1.0;
  for (int looks = 1;; ++looks) {
    const auto now = standing_of(files, sight, request);
    if (now.ended) return now;
    if (asked == Asked::kSave && now.taken && saved_since(before, now)) return now;
    bar.tell(wait_text(sight.attempt->number, asked, before, now));
    clock.sleep(std::min(period_s, 1.0));
    if (looks % kLooksBetweenWatches != 0) continue;
    require_alive(files, sight);
    if (!now.taken && looks * std::min(period_s, 1.0) > kPatiencePeriods * period_s && !told) {
      told = true;
      bar.clear();
      std::fprintf(stderr, "it has not taken the request yet; its log may say why\n");
    }
  }
}

int say_no_job(const JobSight& sight) {
  std::fprintf(stderr, "lockstep: no job is at work on %s\n",
               escape_controls(sight.store.path).c_str());
  if (sight.attempt != nullptr)
    std::fprintf(stderr, "attempt %lld: %s\n", static_cast<long long>(sight.attempt->number),
                 escape_controls(state_text(sight)).c_str());
  return 1;
}

int say_done(const FileSystem& files, const JobSight& sight, Asked asked, const AskedJob& before,
             const AskedJob& now) {
  const auto number = sight.attempt->number;
  const bool saved = saved_since(before, now);
  if (saved)
    std::printf("%s is committed\n", to_text(CheckpointId{number, *now.last_committed}).c_str());
  if (!now.ended) return 0;
  JobSight end = look_for_job(files, sight.store.path);
  const auto* attempt = end.store.view.attempt(number);
  const auto kind = attempt != nullptr && attempt->outcome
                        ? std::optional(attempt->outcome->outcome)
                        : std::nullopt;
  if (end.attempt == attempt)
    std::printf("attempt %lld: %s\n", static_cast<long long>(number),
                escape_controls(state_text(end)).c_str());
  const bool as_wished = asked == Asked::kSave
                             ? saved
                             : kind == OutcomeKind::kStopped || kind == OutcomeKind::kFinished;
  if (!as_wished && asked == Asked::kStop)
    std::fprintf(stderr,
                 "lockstep: it ended before it could be stopped: what starts jobs again after that "
                 "will start this one; ask again then\n");
  return as_wished ? 0 : 1;
}

int ask(FileSystem& files, const Options& options, Asked asked) {
  const auto sight = look_for_job(files, options.store);
  if (!sight.alive) return say_no_job(sight);
  const auto& attempt = *sight.attempt;
  const auto before = standing_of(files, sight, "");
  const auto request = leave_request(files, sight.store.path, attempt.number, {asked, who_asks()});
  const auto text = "attempt " + std::to_string(attempt.number) + " of run " +
                    (attempt.claim ? escape_controls(attempt.claim->run) : "?") + " is asked to " +
                    to_text(asked);
  if (!options.wait) {
    std::printf("%s; it looks at each heartbeat\n", text.c_str());
    return 0;
  }
  std::fprintf(stderr, "%s; waiting\n", text.c_str());
  return say_done(files, sight, asked, before, wait_for(files, sight, asked, request, before));
}

Command ask_command(Asked asked, const std::string& purpose, const std::string& description) {
  const auto options = std::make_shared<Options>();
  Command command;
  command.name = to_text(asked);
  command.purpose = purpose;
  command.description = description;
  command.arguments = {store_argument(options->store)};
  command.options = {flag("--wait", options->wait, "until it is done, or the job has ended")};
  command.exit_codes = {
      {0, "the job is asked; with --wait: it is done"},
      {1,
       "no job is at work: the last outcome is shown; with --wait: it ended "
       "otherwise"},
      {2, "a mistake in the command, or no such store"},
      {3, "the store can't be read or written now, or the job crashed meanwhile"}};
  command.examples = {"lockstep " + command.name + " checkpoints",
                      "lockstep " + command.name + " checkpoints --wait"};
  command.run = [options, asked](FileSystem& files) { return ask(files, *options, asked); };
  return command;
}

}  // namespace

Command save_command() {
  return ask_command(Asked::kSave, "asks the job that is at work on a store for a checkpoint now",
                     "Leaves a request in the store: whoever may write there may ask, from any "
                     "host. The job looks for requests at each heartbeat, and saves at the "
                     "iteration after.");
}

Command stop_command() {
  return ask_command(Asked::kStop, "asks the job that is at work on a store to save and end",
                     "Leaves a request in the store: whoever may write there may ask, from any "
                     "host. The job looks for requests at each heartbeat, saves at the iteration "
                     "after, and ends with exit code 77, which no script requeues.");
}

}  // namespace lockstep::cli
