#include "coordinator/daemon/own_loop.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <set>
#include <utility>

#include "common/agree.h"
#include "common/error.h"
#include "common/failure.h"
#include "common/log.h"
#include "common/safetensors.h"
#include "coordinator/daemon/job.h"
#include "coordinator/daemon/lone_failure.h"
#include "coordinator/daemon/program.h"
#include "worker/loop_control.h"

namespace lockstep {

namespace {

constexpr std::size_t kMostShownName = 100;
constexpr std::int64_t kMostSamples = std::int64_t{1} << 40;  // of an iteration

bool has_kind(const std::string& name) {
  if (name.starts_with("optimizer.")) return std::ranges::count(name, '.') >= 2;
  return name.starts_with("model.") || name.starts_with("buffer.");
}

[[noreturn]] void fail(const std::string& what) {
  throw Error(ErrorCode::kInvalidConfig, what);
}

// The parameter that a tensor of an optimizer goes with.
std::string parameter_of(const std::string& name) {
  const auto begin = name.find('.');
  return "model" + name.substr(begin, name.rfind('.') - begin);
}

// A mistake of the loop's that every rank makes, as all make the same calls.
[[noreturn]] void misused(const std::string& what) {
  throw AgreedError(ErrorCode::kInvalidConfig, 0, "own loop", what);
}

// Records hold finite numbers only: as evaluations of tasks, those that are not are left out.
Metrics finite_ones(const Metrics& metrics) {
  Metrics finite;
  for (const auto& [name, value] : metrics) {
    if (!is_plain_text(name))
      misused("completed() was given a metric whose name is empty, too long, or no plain text");
    if (std::isfinite(value)) finite[name] = value;
  }
  return finite;
}

}  // namespace

OwnLoop::OwnLoop(Job& job) : job_(job) {}
OwnLoop::~OwnLoop() = default;

const Config& OwnLoop::config() const {
  return job_.loaded.config;
}
const Log& OwnLoop::log() const {
  return job_.log;
}
const Comm& OwnLoop::comm() const {
  return job_.comm;
}
int OwnLoop::threads() const {
  return job_.host.threads;
}

void OwnLoop::refuse(const std::string& name, const std::string& why) {
  require_before_restore(name);
  wrong_.push_back(escape_controls(name) + " " + why);
}

void OwnLoop::require_before_restore(const std::string& name) const {
  if (restore_called_)
    misused("add() after restore(): " + escape_controls(name) + " would not be saved");
}

void OwnLoop::add(const std::string& name, const std::vector<std::int64_t>& shape,
                  std::span<float> values) {
  require_before_restore(name);
  if (values.empty() || elements_of(shape) != std::ssize(values))
    refuse(name, "is empty, or has another size than its shape");
  view_.sections.push_back({.tensors = {{name, Dtype::kF32, shape}},
                            .dtype = Dtype::kF32,
                            .elements = std::ssize(values),
                            .replicated = true,
                            .data = std::as_writable_bytes(values).data(),
                            .compared = true});
}

void OwnLoop::watch(const std::string& name, std::function<bool()> in_place) {
  watched_.push_back({name, std::move(in_place)});
}

// Before anything is saved. A rank that finds it can't know whether the others do: an Error, which
// ends the job by its word alone.
void OwnLoop::require_in_place() const {
  for (const auto& [name, in_place] : watched_)
    if (!in_place())
      fail(name +
           " was added, but the loop trains another tensor now: change it in place (copy_, " +
           "sub_), and keep it until the loop's end");
}

void OwnLoop::check_tensors() const {
  if (config().task.name != "own_loop")
    fail("task.name: this program has a training loop of its own; write task: {name: own_loop}");
  if (!wrong_.empty()) fail("the tensor " + wrong_.front());
  if (view_.sections.empty()) fail("add() was given no tensor");
  std::set<std::string> names;
  for (const auto& section : view_.sections) {
    const auto& name = section.tensors.front().name;
    if (!has_kind(name) || !is_tensor_name(name))
      fail("the tensor " + escape_controls(name.substr(0, kMostShownName)) +
           ": a name is model.NAME, buffer.NAME or optimizer.NAME.KIND, without / and \\");
    if (!names.insert(name).second) fail("the tensor " + name + " was added twice");
  }
  for (const auto& name : names)
    if (name.starts_with("optimizer.") && !names.contains(parameter_of(name)))
      fail("the tensor " + name + " goes with " + parameter_of(name) +
           ", which was not added: name it optimizer.NAME.KIND after its model.NAME");
}

void OwnLoop::take(const OwnData& data) {
  check_tensors();
  if (data.samples < 1) fail("restore() was told of no sample");
  if (!is_plain_text(data.digest))
    fail("restore() was told a digest that is empty, above 1024 bytes, or no plain text");
  if (!data.initialize) fail("restore() was given no initialize()");
  job_.trained.view = view_;
  job_.trained.data = {0, data.samples, data.digest};
  job_.trained.initialize = [initialize = data.initialize] {
    within("the loop's initialize()", initialize);
  };
  job_.trained.clear = [this] {
    for (const auto& section : view_.sections)
      std::fill_n(reinterpret_cast<float*>(section.data), section.elements, 0.0F);
  };
}

void OwnLoop::restore(OwnData data) {
  if (std::exchange(restore_called_, true)) misused("restore() was called twice");
  job_.board.enter(Phase::kPrepare);
  job_.host = host_share(job_.comm);
  agree(job_.comm, "take the loop's tensors", [&] { take(data); });
  early_ = lockstep::restore(job_);
  if (early_) return;
  if (job_.decision.record.kind == DecisionKind::kFinished) {
    early_ = end_finished(job_);
    return;
  }
  at_ = start_of(job_);
  final_ = final_iteration(config(), at_, data.samples);
  callbacks_ = callbacks_of(job_);
  begin_training(job_, at_);
  control_ = std::make_unique<LoopControl>(job_.comm, config(), job_.log, job_.board, callbacks_);
  goes_on_ = true;
  iteration_began_ = std::chrono::steady_clock::now();
  if (control_->interrupted()) {
    const auto [end, message] = control_->stop_unsaved();
    finish(end, message);
  } else if (at_.iteration >= final_) {
    finish(TrainingEnd::kFinished, "");
  }
}

SaveRequest OwnLoop::request(const Metrics& metrics) const {
  return {.iteration = at_.iteration, .position = at_.position, .metrics = metrics};
}

void OwnLoop::finish(TrainingEnd end, const std::string& message) {
  goes_on_ = false;
  result_ = {.end = end,
             .iteration = at_.iteration,
             .last_saved = control_->last_saved(),
             .metrics = result_.metrics,
             .message = message};
}

void OwnLoop::completed(std::int64_t samples, const Metrics& given) {
  if (!goes_on_)
    misused(restore_called_ ? "completed() though goes_on() was false"
                            : "completed() before restore()");
  if (samples < 1 || samples > kMostSamples)
    misused("completed() was told of " + std::to_string(samples) + " samples");
  const auto metrics = finite_ones(given);
  require_in_place();
  at_.iteration += 1;
  at_.position += samples;
  if (!metrics.empty()) result_.metrics = metrics;
  note_iteration();
  if (!metrics.empty() && callbacks_.on_evaluation)
    callbacks_.on_evaluation(
        {.iteration = at_.iteration, .position = at_.position, .metrics = metrics});
  control_->interrupted();
  const bool last = at_.iteration == final_;
  if (!control_->stopping() && !last) {
    control_->save_if_due(request(metrics));
    control_->await_snapshot();
  }
  if (control_->stopping()) {
    const auto [end, message] = control_->stop(request(metrics));
    finish(end, message);
  } else if (last) {
    control_->save_last(request(metrics));
    finish(TrainingEnd::kFinished, "");
  }
  iteration_began_ = std::chrono::steady_clock::now();
}

// For the watchdog, the heartbeat and the deadline.
void OwnLoop::note_iteration() {
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - iteration_began_;
  iteration_seconds_.add(took.count());
  job_.board.set_iteration_seconds(iteration_seconds_.value());
  job_.board.pass();
  control_->note_iteration(took.count());
  Progress progress;
  progress.iteration = at_.iteration;
  if (callbacks_.on_iteration) callbacks_.on_iteration(progress);
}

int OwnLoop::end() {
  if (early_) return *early_;
  if (!control_) misused("the loop returned without restore()");
  if (goes_on_) misused("the loop returned before goes_on() was false");
  job_.board.enter(Phase::kEnd);
  return conclude(job_, result_);
}

void OwnLoop::settle() {
  if (control_) control_->settle();
}

int own_loop_main(int argc, char** argv, const OwnBody& body) {
  return run_program(argc, argv, body);
}

int run_own_loop(Job& job, const OwnBody& body) {
  OwnLoop loop(job);
  try {
    body(loop);
    return loop.end();
  } catch (const AgreedError&) {
    loop.settle();
    throw;
  } catch (const MpiError&) {
    throw;
  } catch (...) {
    const auto error = std::current_exception();
    const auto code = exit_code(failure_code(error));
    const auto text = failure_text(error);
    if (job.root) job.root->close(OutcomeKind::kFailed, code, text);
    throw LoneFailure(code, "the loop, on rank " + std::to_string(job.comm.rank()) + ": " + text);
  }
}

}  // namespace lockstep
