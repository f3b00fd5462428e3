#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <iterator>
#include <memory>
#include <optional>
#include <sstream>

#include <sys/wait.h>
#include <unistd.h>

#include "common/revision.h"
#include "common/version.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/config_reading.h"
#include "coordinator/cli/table.h"
#include "coordinator/deadline.h"
#include "coordinator/probe.h"
#include "coordinator/status/status_wish.h"

namespace lockstep::cli {

namespace {

struct Options {
  std::string config;
  std::vector<std::string> overrides;
  bool json = false;
};

// What a program said, both streams. `program` and `words` are constants below: nothing of the
// user's gets to the shell.
struct Said {
  bool found = false;  // it is in PATH
  int code = 0;
  std::string text;
  bool ok() const { return found && code == 0; }
};

Said ask(const std::string& program, const std::string& words) {
  constexpr int kNotInPath = 120;
  // A launcher that waits for a controller must not hold up the rest.
  const auto line = "command -v " + program + " >/dev/null 2>&1 || exit " +
                    std::to_string(kNotInPath) + "; timeout 10 " + program + " " + words +
                    " 2>&1 </dev/null";
  std::FILE* pipe = ::popen(line.c_str(), "re");
  if (pipe == nullptr) return {};
  Said said;
  std::array<char, 4096> block{};
  for (std::size_t got = 0; (got = std::fread(block.data(), 1, block.size(), pipe)) > 0;)
    said.text.append(block.data(), got);
  const int status = ::pclose(pipe);
  said.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  said.found = said.code != kNotInPath;
  return said;
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

std::string reason_of(const Said& said) {
  constexpr int kTimedOut = 124;  // timeout's
  if (!said.text.empty()) return first_line(said.text);
  return said.code == kTimedOut ? "no answer within 10 s"
                                : "exit code " + std::to_string(said.code);
}

// Whether lockstepd starts here, and is of this lockstep's version.
Check check_daemon(const Said& said) {
  const std::string name = "lockstepd";
  if (!said.found)
    return Check::warning(name, "not in PATH",
                          "give the launcher its whole path, or: export PATH=FOLDER:$PATH");
  if (!said.ok())
    return Check::error(name, ErrorCode::kMismatch, "does not start: " + reason_of(said),
                        "install what it misses on this host, or run doctor on a host of the job");
  const auto line = first_line(said.text);
  if (line != version_line(name, source_revision()))
    return Check::warning(
        name, line + " is in PATH, this is " + version_line("lockstep", source_revision()),
        "put the one that belongs to it first in PATH");
  std::istringstream rest(said.text.substr(line.size()));
  std::string libraries;  // on the third line
  for (int lines = 0; lines < 3; ++lines)
    std::getline(rest, libraries);
  return Check::ok(name, LOCKSTEP_VERSION ", " + libraries);
}

void check_programs(std::vector<Check>& checks) {
  const auto daemon = ask("lockstepd", "--version");
  checks.push_back(check_daemon(daemon));
  const auto mpirun = ask("mpirun", "--version");
  const auto srun = ask("srun", "--mpi=list");
  checks.push_back(judge_launcher(open_mpi_version(mpirun.text),
                                  daemon.ok() ? open_mpi_version(daemon.text) : std::nullopt,
                                  srun.found, srun.text.find("pmix") != std::string::npos));
}

// The rest of the data is the task's to read: lockstepd CONFIG --check does.
void check_data(const LoadedConfig& loaded, std::vector<Check>& checks) {
  const auto& path = loaded.paths.data;
  if (!path) return;
  std::error_code error;
  const bool folder = std::filesystem::is_directory(*path, error);
  if (::access(path->c_str(), folder ? R_OK | X_OK : R_OK) == 0) {
    checks.push_back(Check::ok("data", *path));
    return;
  }
  checks.push_back(Check::error("data", ErrorCode::kInvalidConfig, *path + " can't be read",
                                "see data.path in the configuration"));
}

void check_deadline(const LoadedConfig& loaded, std::vector<Check>& checks) {
  const auto& preempt = loaded.config.preempt;
  try {
    if (const auto deadline = find_deadline(preempt, process_environment))
      checks.push_back(judge_deadline(
          *deadline, static_cast<double>(deadline->at) - static_cast<double>(std::time(nullptr)),
          preempt));
  } catch (const Error& e) {
    checks.push_back(Check::error("deadline", e.code(), e.what(), ""));
  }
}

void check_store(FileSystem& files, const LoadedConfig& loaded, std::vector<Check>& checks) {
  Scratch scratch(files, loaded.paths.store);
  checks.push_back(scratch.open());
  if (scratch.path().empty()) return;
  checks.push_back(probe_durability(files, scratch.path(), "doctor"));
  checks.push_back(probe_direct_io(scratch.path(), "doctor"));
  checks.push_back(probe_clock(files, scratch.path()));
  const auto free = free_bytes(scratch.path());
  const auto kept = look_at_kept(files, loaded.paths.store);
  if (free)
    checks.push_back(judge_space(
        {*free, kept.checkpoint_bytes, loaded.config.checkpoint.keep_last, kept.count}));
}

Colour colour_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kOk:
      return Colour::kGreen;
    case Verdict::kWarning:
      return Colour::kYellow;
    default:
      return Colour::kRed;
  }
}

// As to_text, for a screen.
void print_for_people(const std::vector<Check>& checks) {
  constexpr std::size_t kVerdictWidth = 7;  // "warning"
  std::vector<Row> rows;
  for (const auto& check : checks) {
    auto verdict = to_text(check.verdict);
    verdict.resize(kVerdictWidth, ' ');
    rows.push_back({{verdict, colour_of(check.verdict)}, check.name, check.text});
    if (!check.advice.empty()) rows.push_back({"", "", check.advice});
  }
  std::printf("%s%s", table(rows, screen_of_stdout()).c_str(), sums_text(checks).c_str());
}

int run_doctor(FileSystem& files, const Options& options) {
  int code = 0;
  const auto loaded = load_or_complain(options.config, options.overrides, code);
  if (!loaded) return code;
  std::vector<Check> checks;
  checks.push_back(Check::ok("configuration", options.config));
  check_store(files, *loaded, checks);
  check_data(*loaded, checks);
  check_deadline(*loaded, checks);
  std::ranges::move(probe_status(*loaded, loaded->paths.store), std::back_inserter(checks));
  check_programs(checks);
  if (options.json) {
    std::puts(to_json(checks).c_str());
  } else {
    print_for_people(checks);
  }
  return exit_code_of(checks);
}

}  // namespace

Command doctor_command() {
  const auto options = std::make_shared<Options>();
  Command command;
  command.name = "doctor";
  command.purpose = "tries beforehand what a job with this configuration will rely on";
  command.description =
      "Tries on this host what the store's file system can do, in a scratch folder that it removes "
      "again: also beside a job that is at work. Looks at free space, data, launcher and "
      "libraries.\n\n"
      "`lockstepd CONFIG --check` under the launcher does so on every host of a job, and adds what "
      "only a launch can tell: that all see one store, are of one build, read the same data and "
      "have the memory. `lockstep plan CONFIG` says what would be restored.";
  command.arguments = {{"CONFIG", &options->config, "the YAML configuration", Names::kFile}};
  command.options = {
      {"--set", "K=V", "a value over the configuration's; repeatable", &options->overrides},
      flag("--json", options->json, "one JSON object: checks and exit_code")};
  command.exit_codes = {{0, "a job can run; there may be warnings"},
                        {2, "a bad configuration, or something that must be changed first"},
                        {3, "the store can't be read or written now, or has no room"}};
  command.examples = {"lockstep doctor train.yaml", "mpirun -n 4 lockstepd train.yaml --check"};
  command.run = [options](FileSystem& files) { return run_doctor(files, *options); };
  return command;
}

}  // namespace lockstep::cli
