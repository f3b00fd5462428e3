#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/comm.h"
#include "common/config.h"
#include "common/log.h"
#include "worker/recent_median.h"
#include "worker/state.h"
#include "worker/training_loop.h"

// A training loop of one's own in which lockstep decides what is restored, loads it on all ranks or
// on none, hears signals and requests, saves, and ends the job with the right exit code. The
// program is started as lockstepd is, on a configuration with `task: {name: own_loop}`:
//
//   int main(int argc, char** argv) {
//     return lockstep::own_loop_main(argc, argv, [](lockstep::OwnLoop& loop) {
//       loop.add("model.weight", weight);  // and all else that training changes
//       loop.restore({.samples = 6000, .digest = "points 1", .initialize = [&] { ... }});
//       while (loop.goes_on()) {
//         ...  // forward, backward, sum over loop.comm(), step, on the batch at loop.position()
//         loop.completed(batch);
//       }
//     });
//   }
//
// deploy/examples/own_loop/ is a whole one. Of the configuration run, store, checkpoint, restore,
// preempt, watchdog and log mean what they always do, but for run.on_nonfinite; that, optimizer,
// schedule, data and evaluate are the loop's to heed, or not (config()); data.global_batch says how
// long run.max_epochs is. What it prints of its progress is its own, too.
namespace lockstep {

struct Job;
class LoopControl;

// What restore() must know besides the tensors.
struct OwnData {
  std::int64_t samples = 0;          // in the training data, for run.max_epochs and the records
  std::string digest;                // tells one set of data from another
  std::function<void()> initialize;  // fills all tensors with what a fresh start begins with, the
                                     // same on every rank; called where not all of them are loaded
};

// All but the constructor and add() are for every rank alike: the same calls in the same order.
class OwnLoop {
 public:
  explicit OwnLoop(Job& job);
  ~OwnLoop();
  OwnLoop(const OwnLoop&) = delete;
  OwnLoop& operator=(const OwnLoop&) = delete;

  const Config& config() const;
  const Log& log() const;    // prints on rank 0
  const Comm& comm() const;  // yours to use between the calls, by the thread that makes them
  int threads() const;       // that this rank may compute with, once restored

  // Local, before restore(): fp32, in row-major order, equal on all ranks, and in place until the
  // loop's end. Names: "model.NAME", "buffer.NAME", and "optimizer.NAME.KIND", which goes with
  // model.NAME. What is wrong with them restore() says. Nothing can tell that memory has been freed
  // or that training goes on elsewhere: whoever gives a span answers for it.
  void add(const std::string& name, const std::vector<std::int64_t>& shape,
           std::span<float> values);
  // The same of a tensor of LibTorch's, or of a view of one that the loop keeps. What trains must
  // change it in place (copy_, sub_), as optimizers do: `value = value - step` makes another
  // tensor, and what was added would be saved for ever as it was. completed() looks for that. A
  // graph of autograd's that still lives (`loss`) may hide it for an iteration.
  template <typename Tensor>
  void add(const std::string& name, const Tensor& tensor) {
    // float is the only type of this size that is one of floating point.
    if (!tensor.defined() || !tensor.is_cpu() || !tensor.is_floating_point() ||
        tensor.element_size() != sizeof(float))
      return refuse(name, "is not of fp32 in the host's memory: nothing else is saved");
    if (!tensor.is_contiguous())
      return refuse(name, "is not contiguous: add what its contiguous() gives, and train that");
    const auto* values = tensor.template data_ptr<float>();
    const auto count = tensor.numel();
    add(name, tensor.sizes().vec(),
        {tensor.template data_ptr<float>(), static_cast<std::size_t>(count)});
    // A copy shares the memory, which thus can't be freed. Memory that no tensor owns (from_blob)
    // has no context, and may well be known to nobody else.
    watch(name, [tensor, values, count] {
      const auto& storage = tensor.storage();
      return tensor.data_ptr() == values && tensor.numel() == count &&
             (tensor.use_count() > 1 || storage.use_count() > 1 ||
              storage.data_ptr().get_context() == nullptr);
    });
  }

  // Collective, once: claims the attempt, decides, proves that all ranks have the same, loads.
  // Afterwards goes_on() is false where nothing is left to do. AgreedError: let it pass.
  void restore(OwnData data);

  // Local. Whether another iteration is to be made; the completed ones; the samples passed.
  bool goes_on() const { return goes_on_; }
  std::int64_t iteration() const { return at_.iteration; }
  std::int64_t position() const { return at_.position; }

  // Collective: an iteration over so many samples of all ranks together is complete, and what was
  // added holds its result. Ticks, and saves where it is time; what was added may change again when
  // it returns. `metrics`: of an evaluation of just this state, for checkpoint.keep_best and the
  // records; what is not finite is left out. What was added is compared over the ranks when it is
  // saved, and so is position(): where they differ nothing is. AgreedError: let it pass, and Error,
  // which one rank alone may throw: a tensor that was added is not the one that is trained.
  void completed(std::int64_t samples, const Metrics& metrics = {});

  // Collective, for who made the loop: how it ended, and the exit code. AgreedError(kInvalidConfig)
  // where goes_on() still is true.
  int end();
  // Collective, after a failure that all ranks know of: what is being saved is finished.
  void settle();

 private:
  // A tensor as it was added: still so, and still held by somebody else.
  struct Watched {
    std::string name;
    std::function<bool()> in_place;
  };

  void require_before_restore(const std::string& name) const;
  void refuse(const std::string& name, const std::string& why);
  void watch(const std::string& name, std::function<bool()> in_place);
  void require_in_place() const;
  void check_tensors() const;
  void take(const OwnData& data);
  SaveRequest request(const Metrics& metrics) const;
  void note_iteration();
  void finish(TrainingEnd end, const std::string& message);

  Job& job_;
  StateView view_;
  std::vector<std::string> wrong_;  // what add() was given
  std::vector<Watched> watched_;
  TrainingStart at_;
  std::int64_t final_ = 0;
  bool restore_called_ = false;
  bool goes_on_ = false;
  std::optional<int> early_;  // the exit code where nothing is trained
  TrainingCallbacks callbacks_;
  std::unique_ptr<LoopControl> control_;
  TrainingResult result_;
  RecentMedian iteration_seconds_;
  std::chrono::steady_clock::time_point iteration_began_;
};

using OwnBody = std::function<void(OwnLoop&)>;

// main() of such a program: its command line is lockstepd's, CONFIG and --set, and so are its exit
// codes. `body` runs on every rank. What it throws and is no AgreedError ends the job at once, by
// one rank's word: with an Error's exit code, else with 3. Work that may fail on one rank alone
// belongs in agree() (common/agree.h): then all ranks end with one line, and what is being saved is
// finished. A stop signal that
// comes before main begins kills a rank; from then on it is remembered.
int own_loop_main(int argc, char** argv, const OwnBody& body);

// Collective: the training of a session's job, after the first look at the store.
int run_own_loop(Job& job, const OwnBody& body);

}  // namespace lockstep
