#include <array>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include "common/error.h"
#include "common/log.h"
#include "coordinator/amounts.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/complaint.h"
#include "coordinator/cli/config_reading.h"
#include "coordinator/cli/launched.h"
#include "coordinator/cli/rehearsal.h"
#include "coordinator/cli/rehearsal_runs.h"
#include "coordinator/cli/terminal.h"
#include "coordinator/config_loader.h"
#include "coordinator/launch.h"
#include "coordinator/probe.h"

namespace lockstep::cli {

namespace {

struct Options {
  std::string config;
  std::string launch;
  std::vector<std::string> overrides;
  std::string iterations = "30";
  std::string limit;
  bool keep = false;
  bool json = false;
};

void say(const std::string& text) {
  std::fprintf(stderr, "%s\n", escape_controls(text).c_str());
}

// A number that the user gave, at least `least`.
std::int64_t number_of(const std::string& option, const std::string& text, std::int64_t least) {
  constexpr std::int64_t kMost = 1'000'000'000;
  const auto number = parse_number(text);
  if (!number || *number < least || *number > kMost)
    throw Error(ErrorCode::kInvalidConfig, option + ": '" + text + "' is no number from " +
                                               std::to_string(least) + " to " +
                                               std::to_string(kMost));
  return *number;
}

// The folder for all that is written: beside the store, so that it is on the same file system and
// all hosts see it. Removed at the end with what it holds.
class ScratchFolder {
 public:
  ScratchFolder(FileSystem& files, const std::string& store) {
    const auto parent = std::filesystem::path(store).parent_path().string();
    if (!files.info(parent))
      throw Error(ErrorCode::kInvalidConfig,
                  "the folder for the store is not there; mkdir -p " + parent);
    path_ = parent + "/.rehearse-" + random_hex(16);
    files.claim_folder(path_);
  }
  ~ScratchFolder() {
    if (keeps_) return;
    clear();
    std::error_code error;
    std::filesystem::remove_all(path_, error);
    if (error) say("can't remove " + path_ + ": " + error.message());
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::string& path() const { return path_; }
  void keep() { keeps_ = true; }
  // Between two series of runs.
  void clear() const {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(path_, error)) {
      std::error_code left;  // said where the folder itself can't be removed
      std::filesystem::remove_all(entry.path(), left);
    }
  }

 private:
  std::string path_;
  bool keeps_ = false;
};

// The iteration that the runs start from: another than 0 only where the configuration names a
// source, of which the decision is made beforehand, as `lockstep plan` makes it.
std::int64_t start_of(const Stage& stage, const LoadedConfig& loaded) {
  constexpr std::int64_t kNoLimit = std::int64_t{1} << 52;  // or it would be `finished` already
  if (!loaded.config.restore.from) return 0;
  auto sets = stage.overrides;
  const RunPlace place{"rehearse", stage.scratch + "/plan", stage.scratch + "/plan.prom"};
  for (const auto& one : overrides_for(loaded.config, {0, kNoLimit}, place))
    sets.push_back(one);
  const auto facts = facts_of(load_config(stage.config, sets, process_environment),
                              [](const std::string&) { return std::nullopt; });
  LookOptions look;
  look.ignore_running = true;
  const auto record =
      look_and_try(stage.files, facts, steady_clock(), look, stage.say).ruling.record;
  if (record.kind == DecisionKind::kError)
    throw Error(record.exit_code == 3 ? ErrorCode::kIo : ErrorCode::kInvalidConfig,
                record.error.value_or(""));
  return record.parent ? record.parent->checkpoint.iteration : 0;
}

// What two runs, then all three, are known to take at most: two that are kept and one that is being
// written in each.
constexpr std::uint64_t kCheckpointsOfTwo = 6;
constexpr std::uint64_t kCheckpoints = 9;

// `store`: whose checkpoints are as large as those that are still to be written.
void require_room_for(const Stage& stage, const std::string& store, std::uint64_t checkpoints) {
  const auto free = free_bytes(stage.scratch);
  if (!free) return;
  constexpr std::uint64_t kLeastBytes = 8192;  // a shard and a manifest
  const auto known = look_at_kept(stage.files, store).checkpoint_bytes;
  require_room(*free, known.value_or(kLeastBytes), checkpoints);
}

// All three runs. nullopt: one was over before it could be interrupted; `seconds` says how long
// straight trained. Where a state differs, the runs up to then are all that is needed.
std::optional<Rehearsal> run_all(const Stage& stage, const Config& config, const Scale& scale,
                                 double& seconds) {
  constexpr std::array kKinds = {RunKind::kStraight, RunKind::kCut, RunKind::kKilled};
  Rehearsal rehearsal;
  rehearsal.scale = scale;
  for (const auto kind : kKinds) {
    auto done = run_one(stage, config, scale, kind);
    if (kind == RunKind::kStraight) {
      seconds = done.seconds;
      require_room_for(stage, store_of(stage, kind), kCheckpointsOfTwo);
    }
    if (done.too_late) {
      say(to_text(kind) + ": it was over before it could be interrupted, with " +
          count_text(static_cast<std::size_t>(scale.iterations), "iteration"));
      if (!rehearsal.runs.empty() && !rehearsal.equal()) break;  // that much is known
      return std::nullopt;
    }
    if (kind != RunKind::kStraight) compare_with(stage, done);
    rehearsal.ranks = done.ranks;
    rehearsal.runs.push_back(std::move(done.found));
  }
  rehearsal.exit_code = rehearsal.equal() ? 0 : 1;
  return rehearsal;
}

Rehearsal rehearse(const Stage& stage, const LoadedConfig& loaded, std::int64_t iterations,
                   const ScratchFolder& scratch) {
  require_room_for(stage, loaded.paths.store, kCheckpoints);
  Scale scale{start_of(stage, loaded), iterations};
  double seconds = 0;
  auto found = run_all(stage, loaded.config, scale, seconds);
  if (!found) {
    scale.iterations = more_iterations(scale.iterations, seconds);
    say("once more, with " + std::to_string(scale.iterations) + " iterations");
    scratch.clear();
    found = run_all(stage, loaded.config, scale, seconds);
  }
  if (found) return *found;
  throw Error(
      ErrorCode::kIo,
      "nothing is proven: the runs are over before they can be interrupted; try --iterations " +
          std::to_string(more_iterations(scale.iterations, seconds)));
}

int run_rehearse(FileSystem& files, const Options& options) {
  const auto iterations = number_of("--iterations", options.iterations, 6);
  if (options.launch.empty())
    throw Error(ErrorCode::kInvalidConfig,
                "it is not said how the job is launched; write --launch \"mpirun -n 4\"");
  const auto launcher = split_words(options.launch);
  for (const auto& word : launcher)
    if (std::filesystem::path(word).filename() == "lockstepd")
      throw Error(ErrorCode::kInvalidConfig,
                  "--launch names lockstepd, which is put behind it; write the launcher alone: "
                  "--launch \"mpirun -n 4\"");
  int code = 0;
  const auto loaded = load_or_complain(options.config, options.overrides, code);
  if (!loaded) return code;
  const auto& watchdog = loaded->config.watchdog;
  const double limit_s = options.limit.empty()
                             ? watchdog.join_seconds + watchdog.stall_seconds
                             : static_cast<double>(number_of("--limit", options.limit, 1));
  const HeldSignals held;  // first, so that it is the last to go
  ScratchFolder scratch(files, loaded->paths.store);
  const Stage stage{files,          held,    launcher, options.config, options.overrides,
                    scratch.path(), limit_s, say};
  Rehearsal found;
  std::optional<ErrorCode> failure;
  try {
    found = rehearse(stage, *loaded, iterations, scratch);
  } catch (const Error& e) {
    if (options.keep) scratch.keep();
    if (options.keep) say("kept: " + scratch.path());
    if (!options.json) throw;
    found.error = e.what();
    found.exit_code = exit_code(e.code());
    failure = e.code();
  }
  if (options.keep || found.exit_code == 1) {
    scratch.keep();
    found.kept = scratch.path();
    if (!found.error) say("kept: " + scratch.path());
  }
  if (failure) print(complaint_of(*failure, *found.error, "rehearse"));
  std::fputs((options.json ? to_json(found) + "\n" : to_text(found, screen_of_stdout())).c_str(),
             stdout);
  return found.exit_code;
}

}  // namespace

Command rehearse_command() {
  const auto options = std::make_shared<Options>();
  Command command;
  command.name = "rehearse";
  command.purpose = "proves that to resume equals never having stopped";
  command.description =
      "Trains a few iterations of this configuration three times, on the machines that --launch "
      "names: straight to the end; cut by USR1 and launched again; killed (rank 0, by kill -9) and "
      "launched again. The last checkpoints must hold the same bits.\n\n"
      "It works in a scratch folder beside the configured store, which needs room for about nine "
      "checkpoints and is removed at the end, unless a state differs. Of the store itself nothing "
      "is read but how large its checkpoints are. A source that restore.from names is kept; any "
      "other restore section becomes "
      "auto. Learning rates stay those of the configured length.\n\n"
      "Ctrl-C ends what was launched and removes the scratch folder.";
  command.arguments = {{"CONFIG", &options->config, "the YAML configuration", Names::kFile}};
  command.options = {
      {"--launch", "COMMAND",
       "required: what goes before lockstepd, as for a job, such as \"srun --mpi=pmix\"; must pass "
       "USR1 on",
       &options->launch},
      {"--set", "K=V", "a value over the configuration's; repeatable", &options->overrides},
      {"--iterations", "N", "of each run (30, at least 6); more where they are over too fast",
       &options->iterations},
      {"--limit", "SECONDS",
       "without a new iteration, after which a launch is given up (watchdog.join_seconds + "
       "stall_seconds)",
       &options->limit},
      flag("--keep", options->keep, "the scratch folder, with stores and logs"),
      flag("--json", options->json, "one JSON object")};
  command.exit_codes = {{0, "all states are equal"},
                        {1, "a state differs; it is named, and the scratch folder kept"},
                        {2, "a mistake in the command or the configuration, or a launch's 2"},
                        {3, "a launch did not start, failed or stood still, or there is no room"},
                        {130, "Ctrl-C; 143: TERM; 129: HUP"}};
  command.examples = {
      "lockstep rehearse train.yaml --launch \"mpirun -n 4\"",
      "lockstep rehearse train.yaml --launch \"srun --mpi=pmix --kill-on-bad-exit\""};
  command.run = [options](FileSystem& files) { return run_rehearse(files, *options); };
  return command;
}

}  // namespace lockstep::cli
