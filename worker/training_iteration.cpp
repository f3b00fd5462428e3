#include "worker/training_iteration.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "common/agree.h"
#include "common/error.h"
#include "common/failure.h"
#include "common/partition.h"
#include "worker/data_order.h"
#include "worker/gradient_reduction.h"
#include "worker/mpi_collectives.h"
#include "worker/precision.h"
#include "worker/sharded_optimizer.h"
#include "worker/stopwatch.h"

namespace lockstep {
namespace {

constexpr std::int64_t kEvaluationBatch = 500;

std::span<float> part(std::span<float> all, Range range) {
  return all.subspan(static_cast<std::size_t>(range.first), static_cast<std::size_t>(range.count));
}

// Means are over the samples that a task says it has met.
void require_samples(const Sums& made, std::int64_t given, const char* by) {
  if (made.samples == given) return;
  throw Error(ErrorCode::kInvalidConfig,
              std::string("the task's ") + by + " counts " + std::to_string(made.samples) +
                  " samples of " + std::to_string(given) + " that it was given: set Sums::samples");
}

// Forward and backward on this rank's slice of the batch. The last batch of it tells the reduction
// which gradients are complete.
Sums compute_gradients(IterationParts& parts, const Training& training, const TrainingStart& start,
                       double& data_seconds) {
  const auto& config = training.config;
  const auto seed = static_cast<std::uint64_t>(config.run.seed);
  std::uint64_t randomness =
      rng_seed({.seed = seed, .iteration = start.iteration + 1, .rank = parts.comm.rank()});

  Sums sums;
  for (bool last = false; !last;) {
    const auto next = timed(data_seconds, [&] { return parts.feed.next(); });
    last = next.last;
    training.task.tell_gradients(
        last ? [&parts](std::size_t parameter) { parts.reduction.through(parameter); }
             : std::function<void(std::size_t)>([](std::size_t) {}));
    const Batch batch{.samples = next.samples,
                      .weight = 1 / static_cast<double>(config.data.global_batch),
                      .first = next.first,
                      .inputs = next.inputs.get(),
                      .rng_seed = randomness++};
    const auto made = within("the task's train()", [&] { return training.task.train(batch); });
    require_samples(made, std::ssize(next.samples), "train()");
    sums += made;
    training.board.move();
  }
  return sums;
}

double squares_of(const TrainingState& state) {
  const auto* accelerator = state.accelerator();
  return accelerator ? accelerator->sum_of_squares({state.gradients()})
                     : sum_of_squares(state.gradients());
}

// Samples by the end of the training: nothing behind them is fetched.
std::int64_t end_position(const Training& training, const TrainingStart& start) {
  const auto left =
      final_iteration(training.config, start, training.task.training_samples()) - start.iteration;
  constexpr auto kNever = std::numeric_limits<std::int64_t>::max();
  const auto batch = training.config.data.global_batch;
  return left > (kNever - start.position) / batch ? kNever : start.position + left * batch;
}

CollectivesNeed need_of(const Training& training) {
  CollectivesNeed need{
      .accelerator = training.state.accelerator(), .nccl = training.nccl, .sums = {}};
  for (const auto& region : training.state.layout().regions)
    need.sums.push_back(region.range.count);
  return need;
}

// Sums over ranks into `outcome`; `squares`: of this rank's part of the gradient. Says whether this
// rank's own loss or gradients are not finite.
bool add_up(const Comm& comm, const TrainingState& state, const Sums& mine, double squares,
            IterationOutcome& outcome) {
  std::array<double, 4> words = {squares, mine.loss, mine.correct,
                                 static_cast<double>(mine.samples)};
  sum_over_ranks(comm, words);
  outcome.gradient_norm = std::sqrt(words[0]);
  outcome.sums = {
      .loss = words[1], .correct = words[2], .samples = static_cast<std::int64_t>(words[3])};
  outcome.nonfinite = !std::isfinite(words[0]) || !std::isfinite(words[1]);
  // Only then is it worth a pass over the whole gradient to learn where it came from.
  return outcome.nonfinite && (!std::isfinite(mine.loss) || !std::isfinite(squares_of(state)));
}

}  // namespace

IterationParts::IterationParts(const Comm& shared, Tick& ticks, const Training& training,
                               const TrainingStart& start)
    : comm(shared),
      tick(ticks),
      collectives(make_collectives(shared, need_of(training))),
      reduction(*collectives, training.state),
      feed(training.config, training.task, {.index = shared.rank(), .count = shared.size()},
           start.position, end_position(training, start)) {}

IterationOutcome run_iteration(IterationParts& parts, const Training& training,
                               const TrainingStart& start, const IterationHooks& hooks) {
  const auto began = std::chrono::steady_clock::now();
  const Comm& comm = parts.comm;
  TrainingState& state = training.state;
  IterationOutcome outcome;
  Sums mine;
  parts.reduction.begin();
  try {
    const AtWork at_work(training.board);
    const Autocast precision(training.config.precision == "bf16");
    mine = compute_gradients(parts, training, start, outcome.spent.data);
  } catch (const MpiError&) {
    throw;  // of a sum that was started: nothing that connects the ranks can be relied on
  } catch (...) {
    outcome.failure = std::current_exception();
  }
  outcome.work_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  outcome.spent.compute = outcome.work_seconds - outcome.spent.data;
  const std::chrono::milliseconds at_least(training.task.minimum_iteration_ms());
  std::this_thread::sleep_until(began + at_least);

  training.board.pass();

  auto& spent = outcome.spent;
  const bool mine_nonfinite = timed(spent.communication, [&] {
    const double squares = parts.reduction.finish();
    parts.collectives->average(state.buffers());
    return add_up(comm, state, mine, squares, outcome);
  });

  TickVote my_vote = hooks.vote();
  my_vote.nonfinite = mine_nonfinite;
  my_vote.failed = outcome.failure != nullptr;
  parts.tick.start(my_vote);

  const auto& config = training.config;
  outcome.learning_rate =
      learning_rate_at(config, start.iteration + 1, training.task.training_samples());
  timed(spent.save, hooks.before_step);
  timed(spent.optimizer, [&] {
    optimizer_step(state, config.optimizer,
                   {.iteration = start.iteration + 1,
                    .learning_rate = outcome.learning_rate,
                    .gradient_scale = clip_scale(outcome.gradient_norm, config.optimizer)});
  });
  timed(spent.communication, [&] {
    for (const auto& region : state.layout().regions)
      parts.collectives->all_gather(part(state.parameters(), region.range));
    outcome.verdict = parts.tick.finish();
  });
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
      const Autocast precision(training.config.precision == "bf16");
      const auto made = within("the task's evaluate()", [&] {
        return task.evaluate({.first = own.first + done, .count = count});
      });
      require_samples(made, count, "evaluate()");
      sums += made;
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
