#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <mpi.h>
#include <sys/resource.h>

#include "common/agree.h"
#include "common/comm.h"
#include "tests/bench/median.h"

namespace lockstep {

using Clock = std::chrono::steady_clock;

inline double since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

inline double cpu_seconds() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  return static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
         1e-6 * static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

inline long peak_rss_mib() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  return used.ru_maxrss / 1024;
}

inline double over_ranks(const Comm& comm, double value, MPI_Op op) {
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_DOUBLE, op, comm.raw()), "MPI_Allreduce");
  return value;
}

inline const char* json_bool(bool value) {
  return value ? "true" : "false";
}

// What the rounds of a bench gave, a JSON line for each operation, and what is made of them.
class Figures {
 public:
  Figures(const Comm& comm, std::int64_t tensors, std::uint64_t bytes)
      : comm_(comm), tensors_(tensors), bytes_(bytes) {}

  // Collective: the slowest rank's time of `work`. Round 0 is the first one, and is not counted.
  void measure(const std::string& op, int round, const std::function<void()>& work) {
    const double cpu = cpu_seconds();
    barrier(comm_);
    const auto begin = Clock::now();
    work();
    barrier(comm_);
    add(op, round, since(begin), over_ranks(comm_, cpu_seconds() - cpu, MPI_SUM));
  }

  void add(const std::string& op, int round, double seconds, double cpu_s = 0) {
    if (round > 0) seconds_[op].push_back(seconds);
    if (round == 0) first_[op] = seconds;
    if (!comm_.is_root()) return;
    std::printf(
        "{\"bench\": \"checkpoint\", \"op\": \"%s\", \"world\": %d, \"bytes\": %llu, \"tensors\": "
        "%lld, \"first\": %s, \"total_s\": %.5f, \"gb_per_s\": %.3f, \"cpu_s\": %.2f, "
        "\"peak_rss_mib\": %ld}\n",
        op.c_str(), comm_.size(), static_cast<unsigned long long>(bytes_),
        static_cast<long long>(tensors_), json_bool(round == 0), seconds,
        static_cast<double>(bytes_) / 1e9 / seconds, cpu_s, peak_rss_mib());
    std::fflush(stdout);
  }

  // Of each round the limit's time over ours: at least the goal.
  void compare(const std::string& ours, const std::string& limit, double goal) {
    if (!comm_.is_root()) return;
    std::vector<double> ratios;
    for (std::size_t i = 0; i < seconds_[ours].size(); ++i)
      ratios.push_back(seconds_[limit][i] / seconds_[ours][i]);
    const auto ratio = median(ratios);
    std::printf(
        "{\"bench\": \"%s against %s\", \"world\": %d, \"tensors\": %lld, \"seconds\": %.5f, "
        "\"limit_seconds\": %.5f, \"ratio\": %.3f, \"min\": %.3f, \"max\": %.3f, \"goal\": %.3g, "
        "\"within\": %s, \"first_seconds\": %.5f}\n",
        ours.c_str(), limit.c_str(), comm_.size(), static_cast<long long>(tensors_),
        median(seconds_[ours]), median(seconds_[limit]), ratio,
        *std::min_element(ratios.begin(), ratios.end()),
        *std::max_element(ratios.begin(), ratios.end()), goal, json_bool(ratio >= goal),
        first_[ours]);
  }

  void bound(const std::string& op, double bound_ms) {
    if (!comm_.is_root()) return;
    const auto ms = 1e3 * median(seconds_[op]);
    std::printf(
        "{\"bench\": \"%s\", \"world\": %d, \"tensors\": %lld, \"ms\": %.3f, \"bound_ms\": %g, "
        "\"within\": %s}\n",
        op.c_str(), comm_.size(), static_cast<long long>(tensors_), ms, bound_ms,
        json_bool(ms <= bound_ms));
  }

 private:
  const Comm& comm_;
  const std::int64_t tensors_;
  const std::uint64_t bytes_;
  std::map<std::string, std::vector<double>> seconds_;
  std::map<std::string, double> first_;
};

}  // namespace lockstep
