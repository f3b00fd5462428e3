// The fail points of lockstepd_failing: kill -9 of this very process at a named place of a save.
//
//   LOCKSTEP_FAIL_AT     the place
//   LOCKSTEP_FAIL_NTH    in which save of this process, from 1
//   LOCKSTEP_FAIL_RANKS  0, last or all
//   LOCKSTEP_FAIL_STOP   a place at which rank 0 preempts the job, in its first save; may be empty
//   LOCKSTEP_FAIL_NOTE   who is killed adds a line to this file before: the place and the rank

#include "common/fail_point.h"

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <mutex>
#include <string>

#include <fcntl.h>
#include <unistd.h>

namespace lockstep {

namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  return value == nullptr ? "" : value;
}

class FailPoints {
 public:
  FailPoints() {
    const auto last = std::atol(variable("OMPI_COMM_WORLD_SIZE").c_str()) - 1;
    const auto ranks = variable("LOCKSTEP_FAIL_RANKS");
    dies_ = ranks == "all" || rank_ == (ranks == "last" ? std::to_string(last) : ranks);
  }

  void pass(const std::string& name) {
    if (name == "save begun") ++saves_;  // one at a time
    if (rank_ == "0" && saves_ == 1 && name == stop_) std::raise(SIGUSR1);
    if (!dies_ || saves_ != nth_ || name != at_) return;
    const std::lock_guard lock(mutex_);  // one note, however many threads come by
    const int note = ::open(note_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    const auto line = name + " " + rank_ + "\n";
    if (::write(note, line.data(), line.size()) < 0) std::abort();
    ::kill(::getpid(), SIGKILL);
    ::pause();
  }

 private:
  const std::string at_ = variable("LOCKSTEP_FAIL_AT");
  const std::string stop_ = variable("LOCKSTEP_FAIL_STOP");
  const std::string note_ = variable("LOCKSTEP_FAIL_NOTE");
  const std::string rank_ = variable("OMPI_COMM_WORLD_RANK");
  const long nth_ = std::atol(variable("LOCKSTEP_FAIL_NTH").c_str());
  bool dies_ = false;
  std::atomic<long> saves_ = 0;
  std::mutex mutex_;
};

}  // namespace

void fail_point(const char* name) {
  static FailPoints points;
  points.pass(name);
}

}  // namespace lockstep
