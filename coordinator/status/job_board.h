#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/metrics.h"
#include "common/progress_board.h"
#include "coordinator/status/published.h"
#include "coordinator/watchdog/rank_roll.h"

namespace lockstep {

// What a job knows of itself and its store does not tell, for its own status server.

// Of the last iteration.
struct Pace {
  std::int64_t iteration = 0;
  std::int64_t final_iteration = 0;
  std::int64_t position = 0;  // samples since the start of the run's lineage
  double loss = 0;
  std::optional<double> accuracy;
  double gradient_norm = 0;
  double learning_rate = 0;
  std::int64_t iterations_made = 0;  // by this attempt
  std::int64_t samples_made = 0;
  // From one to the next of late, saves and evaluations included; 0: not known.
  double seconds = 0;
  double samples_per_second = 0;
};

// Cumulative, as Prometheus has them: how many took at most so long.
struct SecondsHistogram {
  static constexpr std::array<double, 12> kBounds = {0.001, 0.005, 0.02, 0.1, 0.5, 1,
                                                     2,     5,     15,   60,  180, 600};
  std::array<std::uint64_t, kBounds.size() + 1> counts = {};  // not cumulative; the last: longer
  double sum = 0;

  void add(double seconds);
  std::uint64_t count() const;
};

struct SaveFact {
  std::int64_t iteration = 0;
  double seconds = 0;  // from the call until it was durable
  double held_s = 0;   // of those training stood still
  std::uint64_t bytes = 0;
};

struct SaveFigures {
  static constexpr std::size_t kMostRecent = 100;

  std::int64_t committed = 0;
  std::int64_t failed = 0;
  std::optional<std::int64_t> under_way;  // its iteration
  std::deque<SaveFact> recent;
  SecondsHistogram seconds;
  SecondsHistogram held_s;
  std::optional<double> last_at_s;  // when the last one was durable, monotonic_s()
};

struct JobFigures {
  Phase phase = Phase::kLaunch;
  std::optional<Pace> pace;                                    // nullopt: no iteration is made yet
  TimeSplit spent;                                             // since training began
  TimeSplit last_spent;                                        // in the last interval
  std::optional<std::pair<std::int64_t, Metrics>> evaluation;  // the last: iteration, metrics
  SaveFigures saves;
  std::vector<RankSight> ranks;
  std::optional<double> seconds_left;  // until the deadline
  bool ended = false;
};

// Where the job's threads say it. The training thread never waits for a reader: what it can't
// publish at the moment comes with its next word. A reader gets a whole picture of each part.
class JobBoard {
 public:
  explicit JobBoard(const ProgressBoard& board) : board_(board) {}

  // The training thread's.
  void iteration(const Pace& pace, double now_s);  // its means and sums are kept here
  void interval(const Interval& interval);
  void evaluation(const Evaluation& evaluation);
  void save_began(std::int64_t iteration);
  void save_ended(const SaveFact& save, double now_s);
  void save_failed();
  void ended();
  // Where there is a deadline; by monotonic_s().
  void deadline(double at_s) { deadline_s_ = at_s; }
  // The watchdog's.
  void ranks(std::vector<RankSight> ranks);

  // Any thread's.
  JobFigures figures(double now_s) const;

 private:
  // What changes by intervals and saves.
  struct Slow {
    TimeSplit spent;
    TimeSplit last_spent;
    std::optional<std::pair<std::int64_t, Metrics>> evaluation;
    SaveFigures saves;
  };
  void publish();

  const ProgressBoard& board_;
  Pace sums_;  // the training thread's, as the next two
  std::optional<double> last_at_s_;
  Slow slow_;
  Published<Pace> pace_;
  bool waits_ = false;  // a part of `slow_` is not published yet
  Published<Slow> published_;
  Published<std::vector<RankSight>> ranks_;
  std::atomic<double> deadline_s_{0};  // 0: none
  std::atomic<bool> ended_{false};
};

}  // namespace lockstep
