#include "worker/training_iteration.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <span>
#include <thread>
#include <vector>

#include "common/agree.h"
#include "common/partition.h"
#include "worker/collectives.h"
#include "worker/data_order.h"
#include "worker/sharded_optimizer.h"

namespace lockstep {
namespace {

constexpr std::int64_t kEvaluationBatch = 500;

std::span<float> part(std::span<float> all, Range range) {
  return all.subspan(static_cast<std::size_t>(range.first), static_cast<std::size_t>(range.count));
}

// Forward and backward on this rank's slice of the batch.
Sums compute_gradients(const Comm& comm, const Training& training, const TrainingStart& start) {
  const auto& config = training.config;
  const auto seed = static_cast<std::uint64_t>(config.run.seed);
  const DataOrder order{.seed = seed, .length = training.task.training_samples()};
  const Range slice =
      batch_slice(config.data.global_batch, {.index = comm.rank(), .count = comm.size()});
  const auto samples = samples_of_slice(order, start.position, slice);
  std::uint64_t randomness =
      rng_seed({.seed = seed, .iteration = start.iteration + 1, .rank = comm.rank()});

  Sums sums;
  std::span<const std::int64_t> left = samples;
  const auto micro = static_cast<std::size_t>(config.data.micro_batch.value_or(slice.count));
  while (!left.empty()) {
    const auto now = left.first(std::min(micro, left.size()));
    sums += training.task.train({.samples = now,
                                 .weight = 1 / static_cast<double>(config.data.global_batch),
                                 .rng_seed = randomness++});
    training.board.move();
    left = left.subspan(now.size());
  }
  return sums;
}

// Sums over ranks into `outcome`; says whether this rank's own loss or gradients are not finite.
bool add_up(const Comm& comm, const TrainingState& state, const Sums& mine,
            IterationOutcome& outcome) {
  double squares = 0;
  for (std::size_t r = 0; r < state.layout().regions.size(); ++r) {
    squares += sum_of_squares(state.own_gradients(r));
  }
  std::array<double, 4> words = {squares, mine.loss, mine.correct,
                                 static_cast<double>(mine.samples)};
  sum_over_ranks(comm, words);
  outcome.gradient_norm = std::sqrt(words[0]);
  outcome.sums = {
      .loss = words[1], .correct = words[2], .samples = static_cast<std::int64_t>(words[3])};
  outcome.nonfinite = !std::isfinite(words[0]) || !std::isfinite(words[1]);
  // Only then is it worth a pass over the whole gradient to learn where it came from.
  return outcome.nonfinite &&
         (!std::isfinite(mine.loss) || !std::isfinite(sum_of_squares(state.gradients())));
}

void reduce_gradients(const Comm& comm, const TrainingState& state) {
  const auto& regions = state.layout().regions;
  for (std::size_t r = 0; r < regions.size(); ++r) {
    reduce_scatter(comm, part(state.gradients(), regions[r].range), state.own_gradients(r));
  }
  average_over_ranks(comm, state.buffers());
}

}  // namespace

IterationOutcome run_iteration(const Comm& comm, Tick& tick, const Training& training,
                               const TrainingStart& start, const IterationHooks& hooks) {
  const auto began = std::chrono::steady_clock::now();
  TrainingState& state = training.state;
  IterationOutcome outcome;
  Sums mine;
  std::ranges::fill(state.gradients(), 0.0F);
  try {
    const AtWork at_work(training.board);
    mine = compute_gradients(comm, training, start);
  } catch (...) {
    outcome.failure = std::current_exception();
  }
  outcome.work_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  const std::chrono::milliseconds at_least(training.task.minimum_iteration_ms());
  std::this_thread::sleep_until(began + at_least);

  training.board.pass();

  reduce_gradients(comm, state);
  const bool mine_nonfinite = add_up(comm, state, mine, outcome);

  TickVote my_vote = hooks.vote();
  my_vote.nonfinite = mine_nonfinite;
  my_vote.failed = outcome.failure != nullptr;
  tick.start(my_vote);

  const auto& config = training.config;
  outcome.learning_rate =
      learning_rate_at(config, start.iteration + 1, training.task.training_samples());
  hooks.before_step();
  optimizer_step(state, config.optimizer,
                 {.iteration = start.iteration + 1,
                  .learning_rate = outcome.learning_rate,
                  .gradient_scale = clip_scale(outcome.gradient_norm, config.optimizer)});
  for (const auto& region : state.layout().regions) {
    all_gather(comm, part(state.parameters(), region.range));
  }
  outcome.verdict = tick.finish();
  training.board.pass();
  return outcome;
}

Metrics run_evaluation(const Comm& comm, const Training& training,
                       const std::function<bool()>& interrupted) {
  const WithinPhase evaluating(training.board, Phase::kEvaluate);
  Task& task = training.task;
  const std::int64_t all = task.evaluation_samples();
  const Range own = part_of(all, {.index = comm.rank(), .count = comm.size()});
  const std::int64_t largest = (all + comm.size() - 1) / comm.size();

  Sums sums;
  std::exception_ptr failure;
  for (std::int64_t done = 0; done < largest; done += kEvaluationBatch) {
    if (interrupted()) return {};
    training.board.pass();
    const std::int64_t count = std::min(kEvaluationBatch, own.count - done);
    if (count <= 0 || failure) continue;
    try {
      const AtWork at_work(training.board);
      sums += task.evaluate({.first = own.first + done, .count = count});
    } catch (...) {
      failure = std::current_exception();
    }
  }
  agree(comm, "evaluate", [&] {
    if (failure) std::rethrow_exception(failure);
  });

  std::array<double, 3> words = {sums.loss, sums.correct, static_cast<double>(sums.samples)};
  sum_over_ranks(comm, words);
  Metrics metrics;
  const auto add = [&](const char* name, double value) {
    if (std::isfinite(value)) metrics[name] = value;
  };
  add("loss", words[0] / words[2]);
  if (task.counts_correct()) add("accuracy", words[1] / words[2]);
  return metrics;
}

std::vector<std::string> metric_names(const Task& task) {
  if (task.counts_correct()) return {"accuracy", "loss"};
  return {"loss"};
}

}  // namespace lockstep
