#pragma once

#include <csignal>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <sys/types.h>

namespace lockstep::cli {

// Programs that a command starts, and that must not outlive it. All: Local.

// The signals that would end the command are held back while it lives, so that what was started is
// ended first, and scratch removed: one that came meanwhile ends the process when this one goes.
class HeldSignals {
 public:
  HeldSignals();
  ~HeldSignals();
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;

  bool has_come() const;
  const sigset_t& before() const { return before_; }  // the mask that programs are started with

 private:
  sigset_t held_{};
  sigset_t before_{};
};

// Thrown where one has come; caught by nobody who would go on.
class Interrupted : public std::runtime_error {
 public:
  Interrupted() : std::runtime_error("interrupted") {}
};

// The words of a command as a shell makes them: quotes, $NAME, ~ and * as there, but nothing is run
// and nothing is redirected. Error(kInvalidConfig).
std::vector<std::string> split_words(const std::string& text);

// The program of this name beside the own file, where there is one; else the name alone, which is
// looked for in PATH.
std::string program_beside(const std::string& name);

// A program with a process group of its own, without input, output into a file. What it leaves
// behind becomes this process's, by which it is found: one at a time.
class Launched {
 public:
  // `leave_out`: variables of the environment. Error(kIo) where it can't be started.
  Launched(const std::vector<std::string>& words, const std::string& log,
           const std::vector<std::string>& leave_out, const HeldSignals& held);
  ~Launched();  // end()
  Launched(const Launched&) = delete;
  Launched& operator=(const Launched&) = delete;

  // Its exit code once it has ended, as a shell gives it: 128 + the signal that ended it.
  std::optional<int> exit_code();
  void signal(int number);  // it alone; it may have ended
  void kill_group();        // kill -9
  // TERM, by which launchers end ranks on other hosts too, and after a while kill -9 for all that
  // is below this process. Returns when nothing is left on this host.
  void end();

 private:
  pid_t pid_ = 0;
  std::optional<int> code_;
};

}  // namespace lockstep::cli
