#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/status/job_board.h"
#include "coordinator/status/store_picture.h"

namespace lockstep {

// All that is known at a moment: of the store, and in a job of its own figures.
struct StatusPicture {
  std::shared_ptr<const StorePicture> store;
  std::optional<JobFigures> job;  // nullopt: from the files alone
  double wall_s = 0;              // now, since 1970
  double now_s = 0;               // now, monotonic_s()
  double look_s = 0;              // how long the store has been looked at just now; 0: it is not
};

// What is said of the newest attempt, wherever it is said: a job's own figures where there are any,
// as new as its last iteration, else those of its files, as new as their last line.
struct Facts {
  bool alive = false;
  // "running", "starting", "ending"; an outcome's word; "crashed"; "watching": it can't be told
  // yet; "none": there was no attempt.
  std::string state;
  std::string state_text;  // for people
  std::optional<std::int64_t> iteration;
  std::int64_t start_iteration = 0;
  std::optional<std::int64_t> final_iteration;
  std::optional<std::int64_t> position;         // samples of the lineage
  std::optional<std::int64_t> iterations_made;  // by this attempt
  std::optional<std::int64_t> samples_made;     // likewise
  std::optional<double> iterations_per_second;
  std::optional<double> samples_per_second;
  std::optional<double> eta_s;
  std::optional<double> loss;
  std::optional<double> accuracy;
  std::optional<double> gradient_norm;
  std::optional<double> learning_rate;
  std::map<std::string, double> last_spent_s;  // of the last interval; empty: not known
  std::optional<EvaluationPoint> evaluation;   // the last
  std::optional<std::int64_t> last_committed;  // iteration, of this attempt
  std::optional<double> durable_age_s;         // of the newest durable checkpoint
};

// All: Pure.
Facts facts_of(const StatusPicture& picture);

// Why what is shown of the store may be old: it could not be read, or does not answer. nullopt: it
// is not.
std::optional<std::string> store_trouble(const StatusPicture& picture);

// The ranks by how long others wait for them, longest first: work above the (lower) median's.
struct RankLags {
  struct Lag {
    RankSight rank;
    double lag_s = 0;
  };
  std::size_t heard = 0;
  double median_work_s = 0;
  std::vector<Lag> slowest_first;
};
RankLags lags_of(const std::vector<RankSight>& ranks);

}  // namespace lockstep
