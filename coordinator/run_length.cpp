#include "coordinator/run_length.h"

#include <algorithm>

#include "common/config.h"
#include "common/names.h"
#include "coordinator/flat_values.h"

namespace lockstep {

std::optional<std::int64_t> final_iteration(const std::string& config,
                                            const std::optional<DataPlace>& data) {
  const auto flat = flat_config(config);
  auto end = flat_integer(flat, "run.max_iterations");
  const auto epochs = flat_integer(flat, "run.max_epochs");
  const auto batch = flat_integer(flat, "data.global_batch");
  if (!epochs || !batch || *batch <= 0) return end;
  // Which of the two comes first is not known without the length of the data.
  if (!data || data->length <= 0 || *epochs > INT64_MAX / 2 / data->length) return std::nullopt;
  const auto samples = std::max<std::int64_t>(*epochs * data->length - data->position, 0);
  const auto by_epochs = data->iteration + samples / *batch + (samples % *batch > 0 ? 1 : 0);
  return end ? std::min(*end, by_epochs) : by_epochs;
}

std::int64_t start_iteration(const AttemptView& attempt) {
  const auto& decision = attempt.decision;
  return decision && decision->parent ? decision->parent->checkpoint.iteration : 0;
}

std::optional<double> average_rate(const FileSystem& files, const std::string& store,
                                   const AttemptView& attempt) {
  if (!attempt.heartbeat) return std::nullopt;
  const auto folder = attempt_path(store, attempt.number);
  const auto claimed = files.info(folder + "/claim.json");
  const auto beaten = files.info(folder + "/heartbeat");
  const auto done = attempt.heartbeat->iteration - start_iteration(attempt);
  if (!claimed || !beaten || beaten->modified_s <= claimed->modified_s || done <= 0)
    return std::nullopt;
  return static_cast<double>(done) / static_cast<double>(beaten->modified_s - claimed->modified_s);
}

std::optional<double> still_seconds(const WrittenAt& at, double intervals) {
  constexpr double kShortest = 90;  // longer than a network file system's caches keep a line back
  constexpr double kIntervals = 5;  // a save or an evaluation is made in some of them
  if (intervals < 1) return std::nullopt;
  const auto usual_s = static_cast<double>(at.metrics_s - at.claim_s) / intervals;
  const auto silent_s = static_cast<double>(at.heartbeat_s - at.metrics_s);
  if (silent_s < std::max(kShortest, kIntervals * usual_s)) return std::nullopt;
  return silent_s;
}

std::optional<double> still_seconds(const FileSystem& files, const std::string& store,
                                    const AttemptView& attempt) {
  if (!attempt.claim || !attempt.heartbeat) return std::nullopt;
  const auto interval = flat_integer(flat_config(attempt.claim->config), "metrics.interval");
  const auto folder = attempt_path(store, attempt.number);
  const auto claimed = files.info(folder + "/claim.json");
  const auto measured = files.info(folder + "/metrics.jsonl");
  const auto beaten = files.info(folder + "/heartbeat");
  if (!interval || *interval <= 0 || !claimed || !measured || !beaten) return std::nullopt;
  const auto done = attempt.heartbeat->iteration - start_iteration(attempt);
  return still_seconds({claimed->modified_s, measured->modified_s, beaten->modified_s},
                       static_cast<double>(done) / static_cast<double>(*interval));
}

}  // namespace lockstep
