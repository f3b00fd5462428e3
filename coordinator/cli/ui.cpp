#include <csignal>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "common/error.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/store_reading.h"
#include "coordinator/liveness.h"
#include "coordinator/status/service.h"

namespace lockstep::cli {

namespace {

struct Options {
  std::string store;
  std::string listen = "127.0.0.1:0";
};

ListenAddress wanted_address(const std::string& given) {
  const auto address = parse_listen_address(given);
  if (!address)
    throw Error(ErrorCode::kInvalidConfig,
                "--listen is 127.0.0.1:PORT (0: any that is free) or unix:PATH, not '" + given +
                    "'; from elsewhere forward the port with ssh -L");
  // As it is told to others, who are elsewhere.
  if (!address->is_unix()) return *address;
  return {std::filesystem::absolute(address->socket_path).lexically_normal(), 0};
}

void say_where(const ListenAddress& address) {
  const auto where = address.is_unix() ? to_text(address) : "http://" + to_text(address) + "/";
  std::printf("serving on %s\nfrom elsewhere: %s\n", where.c_str(),
              way_from_elsewhere(address, this_process().host).c_str());
  std::fflush(stdout);
}

int run_ui(const Options& options) {
  const auto wanted = wanted_address(options.listen);
  const std::shared_ptr<FileSystem> files = make_posix_file_system();
  const auto store = open_store(*files, options.store);
  // Before there are threads: they come to sigwait alone.
  sigset_t ends;
  sigemptyset(&ends);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP})
    sigaddset(&ends, signal);
  ::pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  StatusSetup setup;
  setup.store = store.path;
  setup.listen = wanted;
  StatusService service(files, std::move(setup));
  say_where(*service.address());
  int signal = 0;
  ::sigwait(&ends, &signal);
  return 0;
}

}  // namespace

Command ui_command() {
  const auto options = std::make_shared<Options>();
  Command command;
  command.name = "ui";
  command.purpose = "serves the dashboard of a store, read-only";
  command.description =
      "From the store's files alone, so on any host that sees the store, for a job that is at work "
      "or a run that has ended. What only the job knows, its ranks and the times of its saves, its "
      "own server shows: control.listen. Nothing can be changed through it; it ends with Ctrl-C.";
  command.arguments = {store_argument(options->store)};
  command.options = {{.name = "--listen",
                      .value = "ADDRESS",
                      .help = "127.0.0.1:PORT (0, the default: any that is free) or unix:PATH",
                      .into = &options->listen}};
  command.exit_codes = {{0, "ended by Ctrl-C, TERM or HUP"},
                        {2, "a mistake in the command, or no such store"},
                        {3, "the store can't be read, or the address can't be had"}};
  command.examples = {"lockstep ui checkpoints", "lockstep ui checkpoints --listen 127.0.0.1:8000",
                      "lockstep ui checkpoints --listen unix:/run/user/1000/lockstep"};
  command.run = [options](FileSystem&) { return run_ui(*options); };
  return command;
}

}  // namespace lockstep::cli
