// lockstep: looks at stores and predicts decisions. Links neither MPI nor LibTorch.

#include <csignal>
#include <cstdio>
#include <exception>

#include <fcntl.h>
#include <unistd.h>

#include "common/error.h"
#include "common/file_system.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/complaint.h"

namespace {

int complain(const lockstep::cli::Complaint& complaint, int code) {
  lockstep::cli::print(complaint);
  return code;
}

// A full disk must not look like an answer.
int flushed(int code) {
  const bool written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  return written ? code : complain({"can't write the output", "make room, or write elsewhere"}, 3);
}

int run(const lockstep::cli::Command& command) {
  const auto files = lockstep::make_posix_file_system();
  try {
    return flushed(command.run(*files));
  } catch (const lockstep::Error& e) {
    return complain(lockstep::cli::complaint_of(e.code(), e.what(), command.name),
                    lockstep::exit_code(e.code()));
  } catch (const std::exception& e) {
    return complain({e.what(), "this is a bug"}, 3);
  }
}

}  // namespace

int main(int argc, char** argv) {
  // Where one of these is closed the next file or socket would take its place, and be written to.
  for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(standard, F_GETFD) < 0) ::open("/dev/null", O_RDWR);
  // A limit on the size of files is an error of the file that it stops.
  std::signal(SIGXFSZ, SIG_IGN);
  using namespace lockstep::cli;
  const auto commands = all_commands();
  const auto parsed = parse_command_line(commands, argc, argv);
  if (const auto* mistake = std::get_if<Complaint>(&parsed)) return complain(*mistake, 2);
  if (const auto* usage = std::get_if<Usage>(&parsed)) {
    std::fputs(usage->text.c_str(), stdout);
    return flushed(0);
  }
  return run(*std::get<const Command*>(parsed));
}
