#include "coordinator/daemon/arguments.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <CLI/CLI.hpp>

#include "common/names.h"
#include "common/version.h"
#include "coordinator/daemon/build_id.h"
#include "coordinator/option_hints.h"

namespace lockstep {

namespace {

// Of a program of that name.
std::string footer(const std::string& name) {
  return R"(
Every rank runs it; rank 0 decides what all restore, by the restore section of CONFIG:
  mpirun -n 4 )" +
         name + R"( train.yaml
  srun --mpi=pmix )" +
         name + R"( train.yaml
  mpirun -n 4 )" +
         name + R"( train.yaml --set restore.iteration=1200

Exit codes: 0 finished; 2 permanent, do not requeue; 3 retry, bounded; 75 preempted,
state saved, requeue; 76 a rank hung; 77 stopped on request.
`lockstep plan CONFIG` prints the decision without a job.)";
}

// What an own loop's users call it; what is not theirs to read stays out.
std::string name_of(int argc, const char* const* argv, bool own_loop) {
  if (!own_loop || argc < 1) return "lockstepd";
  return std::filesystem::path(argv[0]).filename();
}

// The first stage knows the commit. In this program it would make another build of each one.
std::string version_text() {
  const char* revision = std::getenv("LOCKSTEP_REVISION");  // NOLINT(concurrency-mt-unsafe)
  return version_line("lockstepd", revision == nullptr ? "" : revision) + "\n" + build_text() +
         "\n" + libraries() + "\n" + libraries_of_both() + ", " + libraries_of_daemon_alone() +
         "\n";
}

// A line of cause and one of advice.
std::string mistake_text(const std::string& name, const std::string& error,
                         const std::vector<std::string>& words) {
  const auto hint = hint_at(words, {"--set", "--help", "--version", "-h", "--check", "--evaluate"});
  return name + ": " + (hint.cause.empty() ? in_our_words(error) : hint.cause) + "\n" +
         (hint.advice.empty() ? name + " --help shows the use" : hint.advice) + "\n";
}

}  // namespace

Arguments parse_arguments(int argc, const char* const* argv, bool own_loop) {
  Arguments arguments;
  const auto name = name_of(argc, argv, own_loop);
  CLI::App app("Data-parallel LibTorch training over MPI: one restore decision, every rank.", name);
  app.footer(footer(name));
  app.set_version_flag("--version", std::string());
  app.add_option("CONFIG", arguments.config, "the YAML configuration")->required();
  app.add_option("--set", arguments.overrides,
                 "K=V: a value over the configuration's, such as restore.iteration=1200")
      ->allow_extra_args(false);
  auto* const check = app.add_flag(
      "--check", arguments.check,
      "try on every host what the job will rely on, say what was found, and stop; claims\n"
      "nothing, also while a job runs");
  auto* const evaluate =
      app.add_flag("--evaluate", arguments.evaluate,
                   "load what the decision says, evaluate, print the metrics; claims and writes\n"
                   "nothing, also while a job runs");
  if (own_loop)
    for (auto* const option : {check, evaluate})
      option->group("");  // not shown
  try {
    app.parse(argc, argv);
    if (arguments.check && arguments.evaluate)
      throw CLI::ValidationError("--check and --evaluate", "one at a time");
    if (own_loop && (arguments.check || arguments.evaluate))
      throw CLI::ValidationError("--check and --evaluate",
                                 "not for a program with a training loop of its own");
  } catch (const CLI::CallForHelp&) {
    arguments.exit_code = 0;
    arguments.text = app.help();
  } catch (const CLI::CallForVersion&) {
    arguments.exit_code = 0;
    arguments.text = version_text();
  } catch (const CLI::ParseError& e) {
    arguments.exit_code = 2;
    arguments.text = mistake_text(name, e.what(), {argv + std::min(argc, 1), argv + argc});
  }
  return arguments;
}

std::optional<double> join_seconds_before_configuration(double otherwise) {
  constexpr double kMost = 1e6;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): before any thread
  const char* value = std::getenv("LOCKSTEP_JOIN_SECONDS");
  if (value == nullptr) return otherwise;
  const std::string_view text(value);
  double seconds = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), seconds, std::chars_format::fixed);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return seconds > 0 && seconds <= kMost ? std::optional(seconds) : std::nullopt;
}

int rank_by_launcher() {
  // Open MPI, PMIx (srun --mpi=pmix), PMI; SLURM_PROCID is set in batch scripts too, so it comes
  // last.
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"}) {
    const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): before any thread
    if (value == nullptr) continue;
    if (const auto rank = parse_number(value)) return static_cast<int>(*rank);
  }
  return 0;
}

}  // namespace lockstep
