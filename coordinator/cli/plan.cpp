#include <cstdint>
#include <cstdio>
#include <ctime>
#include <memory>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "common/log.h"
#include "coordinator/catalog.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/config_reading.h"
#include "coordinator/cli/progress_bar.h"
#include "coordinator/cli/terminal.h"
#include "coordinator/cli/text_width.h"
#include "coordinator/config_loader.h"
#include "coordinator/deadline.h"
#include "coordinator/json_text.h"
#include "coordinator/launch.h"
#include "coordinator/lost_work.h"
#include "coordinator/standing.h"

namespace lockstep::cli {

namespace {

struct Options {
  std::string config;
  std::vector<std::string> overrides;
  bool json = false;
  bool verify = false;
  bool ignore_running = false;
};

LaunchFacts assumed_facts(const FileSystem& files, const LoadedConfig& loaded,
                          const ReadProgress& progress) {
  auto launch = facts_of(loaded, process_environment);
  // For a crash loop: the same build and machines as last time are assumed.
  const auto store = scan_store(files, launch.store_path, {}, {}, Claims::kAll, progress);
  for (const auto* attempt : attempts_of(store, launch.run)) {
    if (!attempt->claim) continue;
    launch.world_size = attempt->claim->world_size;
    launch.hosts = attempt->claim->hosts;
    launch.build = attempt->claim->build;
  }
  return launch;
}

constexpr int kPreempted = 75;

// The decision, and what a launch would make of the time that it has.
struct Plan {
  DecisionRecord record;
  std::optional<Deadline> deadline;
  std::optional<double> save_s;          // what a save is known to take
  std::string lost;                      // what a crash before it cost
  std::optional<std::string> objection;  // why it would end with 75 at once
  bool in_use = false;                   // another job is at work on the store
  int exit_code = 0;                     // the job's
};

DecisionRecord decide(const FileSystem& files, const LoadedConfig& loaded, const Options& options,
                      Plan& plan) {
  LaunchFacts launch;
  launch.request = loaded.config.restore;
  try {
    plan.deadline = find_deadline(loaded.config.preempt, process_environment);
    ProgressBar bar("reading attempts", Unit::kThings);
    launch = assumed_facts(files, loaded, shown_on(bar));
    LookOptions look;
    look.ignore_running = options.ignore_running;
    look.wait_for_outcome = false;
    look.depth = options.verify ? Depth::kBytes : Depth::kHeaders;
    look.progress = shown_on(bar);
    const auto say = [&](const std::string& text) {
      bar.clear();
      std::fprintf(stderr, "%s\n", escape_controls(text).c_str());
    };
    const auto clock = clock_shown_on(bar, "watching the newest attempt's heartbeat");
    const auto decided = look_and_try(files, launch, clock, look, say);
    for (const auto& damaged : damaged_records(decided.store))
      say("warning: " + damaged.file + " is damaged: " + damaged.why);
    plan.save_s = expected_save_seconds(decided);
    auto record = decided.ruling.record;
    if (record.attempt)
      plan.lost = lost_text(record, decided.store, launch.run.id, *record.attempt);
    if (needs_time(record.kind) && !launch.run.stable)
      record.reasons.push_back("no run id is set: a run of its own, such as " + launch.run.id +
                               ", is assumed");
    return record;
  } catch (const Error& e) {
    plan.in_use = e.code() == ErrorCode::kInUse || e.code() == ErrorCode::kOwnRunAlive;
    auto record = error_record(launch, e.code(), e.what());
    record.verified_bytes = options.verify;
    return record;
  }
}

Plan plan(const FileSystem& files, const LoadedConfig& loaded, const Options& options) {
  Plan plan;
  const auto& preempt = loaded.config.preempt;
  plan.record = decide(files, loaded, options, plan);
  plan.exit_code = plan.record.exit_code;
  if (!plan.deadline || !needs_time(plan.record.kind)) return plan;
  const auto left_s =
      static_cast<double>(plan.deadline->at) - static_cast<double>(std::time(nullptr));
  plan.objection = objection_to_launch(*plan.deadline, left_s, preempt, plan.save_s);
  if (plan.objection) plan.exit_code = kPreempted;
  return plan;
}

std::string to_json(const Plan& plan) {
  auto object = nlohmann::ordered_json::parse(to_json(plan.record));
  object["exit_code"] = plan.exit_code;
  object["deadline"] =
      plan.deadline ? nlohmann::ordered_json(plan.deadline->at) : nlohmann::ordered_json();
  object["ends_at_once"] = plan.objection.has_value();
  return json_text(object);
}

// A line that goes on below itself where the screen ends.
void print_indented(const std::string& begin, const std::string& text, const Screen& screen) {
  constexpr std::size_t kLeast = 20;
  const auto columns =
      screen.columns > begin.size() + kLeast ? screen.columns - begin.size() : SIZE_MAX;
  auto before = begin;
  for (const auto& line : wrapped(escape_controls(text), columns)) {
    std::printf("%s%s\n", before.c_str(), line.c_str());
    before.assign(begin.size(), ' ');
  }
}

void print_for_people(const Plan& plan) {
  const auto screen = screen_of_stdout();
  const auto& record = plan.record;
  auto line = to_text(record.kind);
  if (record.parent) line += " " + to_text(record.parent->checkpoint);
  if (record.source) line += " from " + escape_controls(*record.source);
  if (record.attempt)
    line += ", as attempt " + std::to_string(*record.attempt) + " of run " +
            escape_controls(record.run);
  std::printf("%s\n", line.c_str());
  for (const auto& reason : record.reasons)
    print_indented("  because ", reason, screen);
  if (!plan.lost.empty()) print_indented("  ", plan.lost, screen);
  if (plan.objection) print_indented("  ", *plan.objection, screen);
  std::printf("  checked: %s; exit code %d\n", record.verified_bytes ? "every byte" : "headers",
              plan.exit_code);
}

int run_plan(const FileSystem& files, const Options& options) {
  int code = 0;
  // A bad configuration prints no record.
  const auto loaded = load_or_complain(options.config, options.overrides, code);
  if (!loaded) return code;
  const auto planned = plan(files, *loaded, options);
  const auto& record = planned.record;
  if (options.json) {
    std::puts(to_json(planned).c_str());
  } else if (record.kind == DecisionKind::kError) {
    for (const auto& reason : record.reasons)
      std::fprintf(stderr, "  because %s\n", escape_controls(reason).c_str());
    throw Error(
        record.exit_code == 3 ? ErrorCode::kIo : ErrorCode::kInvalidConfig,
        record.error.value_or("") +
            (planned.in_use ? "; to decide by the store as it is now add --ignore-running" : ""));
  } else {
    print_for_people(planned);
  }
  return planned.exit_code;
}

}  // namespace

Command plan_command() {
  const auto options = std::make_shared<Options>();
  Command command;
  command.name = "plan";
  command.purpose = "says what a job with this configuration would restore";
  command.description =
      "Makes the decision that the job would make, by the same code, prints it with its reasons, "
      "and writes nothing. It can't see the model: what does not fit it is the job's to find.";
  command.arguments = {{"CONFIG", &options->config, "the YAML configuration", Names::kFile}};
  command.options = {
      {"--set", "K=V", "a value over the configuration's; repeatable", &options->overrides},
      flag("--json", options->json, "the decision record"),
      flag("--verify", options->verify, "read every byte, as the load does"),
      flag("--ignore-running", options->ignore_running,
           "do not look whether a job is at work on the store: decide by what is there now")};
  command.exit_codes = {{0, "the job would train, or has nothing left to train"},
                        {2, "a bad configuration, or the job would end with 2"},
                        {3, "the store can't be read now, or the job would end with 3"},
                        {75, "the deadline is past, or too near to train anything"}};
  command.examples = {"lockstep plan train.yaml",
                      "lockstep plan train.yaml --set restore=3@1200 --verify",
                      "lockstep plan train.yaml --json | jq -r .kind"};
  command.run = [options](FileSystem& files) { return run_plan(files, *options); };
  return command;
}

}  // namespace lockstep::cli
