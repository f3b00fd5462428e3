#include <cstdio>
#include <ctime>
#include <memory>

#include "common/error.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/job_sight.h"
#include "coordinator/cli/live_screen.h"
#include "coordinator/cli/top_watch.h"

namespace lockstep::cli {

namespace {

struct Options {
  std::string store;
  bool ascii = false;
};

int print_once(const FileSystem& files, const Options& options, const Screen& screen) {
  const bool alive = look_for_job(files, options.store).alive;
  TopWatch watch(files, options.store, alive);
  std::fputs(draw_top(watch.look(true), screen).c_str(), stdout);
  return watch.alive() ? 0 : 1;
}

int watch_live(const FileSystem& files, const Options& options) {
  constexpr double kPeriodSeconds = 1;
  TopWatch watch(files, options.store);
  auto facts = watch.look();  // what is no store is said before the terminal is taken
  LiveScreen live;
  do {
    try {
      facts = watch.look();
    } catch (const Error& e) {
      facts.trouble = e.what();  // above what was seen last: it may pass
      facts.now_s = std::time(nullptr);
    }
    live.show(draw_top(facts, screen_of_stdout(options.ascii)));
  } while (!live.wait_for_quit(kPeriodSeconds));
  return watch.alive() ? 0 : 1;
}

int run_top(const FileSystem& files, const Options& options) {
  const auto screen = screen_of_stdout(options.ascii);
  return screen.addressable ? watch_live(files, options) : print_once(files, options, screen);
}

}  // namespace

Command top_command() {
  const auto options = std::make_shared<Options>();
  Command command;
  command.name = "top";
  command.purpose = "shows live how the job on a store goes";
  command.description =
      "Iteration, rate, time left, loss and accuracy, where the time goes, commits and attempts; "
      "drawn anew each second in the terminal, from the store's files alone: on any host that sees "
      "it, also before a job begins and after it has ended. q or Ctrl-C ends it. Where stdout is "
      "no "
      "terminal it prints the picture once, as status does.";
  command.arguments = {store_argument(options->store)};
  command.options = {flag("--ascii", options->ascii, "draw with ASCII characters only")};
  command.exit_codes = {{0, "a job is at work, when it ends by q"},
                        {1, "no job is at work"},
                        {2, "a mistake in the command, or no such store"},
                        {3, "the store can't be read now"},
                        {130, "Ctrl-C"}};
  command.examples = {"lockstep top checkpoints", "lockstep top checkpoints --ascii | head -20"};
  command.run = [options](FileSystem& files) { return run_top(files, *options); };
  return command;
}

}  // namespace lockstep::cli
