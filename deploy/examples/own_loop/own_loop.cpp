// A training loop of one's own: MPI and LibTorch as anybody uses them, and lockstep for what is
// restored, when it is saved, and how it ends. A small network learns a sine.
//
//   cmake --install build/release --prefix ~/lockstep            # lockstep, where it was built
//   cmake -S . -B build -DCMAKE_PREFIX_PATH=~/lockstep && cmake --build build
//   mpirun -n 2 build/own_loop train.yaml                        # as lockstepd, and so --set
//
// What was added is changed in place: `value.sub_(step)`. After `value = value - step` another
// tensor would be trained than is saved; completed() ends the job where it finds that.
//
// USR1 ends it with 75, the same command carries on, and ends bit for bit as if never stopped.

#include "coordinator/daemon/own_loop.h"

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <mpi.h>

#include "worker/data_order.h"
#include "worker/model_tensors.h"

constexpr std::int64_t kSamples = 6000;  // of the sine, from 0 to 6
constexpr std::int64_t kWidth = 32;

struct Parameter {
  std::string name;
  at::Tensor value;
  at::Tensor momentum = at::zeros_like(value);
};

void train(lockstep::OwnLoop& loop) {
  std::vector<Parameter> model = {{"hidden.weight", at::empty({kWidth, 1}).requires_grad_()},
                                  {"hidden.bias", at::empty({kWidth}).requires_grad_()},
                                  {"head.weight", at::empty({1, kWidth}).requires_grad_()}};
  for (const auto& parameter : model) {
    loop.add("model." + parameter.name, parameter.value);
    loop.add("optimizer." + parameter.name + ".momentum_buffer", parameter.momentum);
  }
  const auto seed = static_cast<std::uint64_t>(loop.config().run.seed);
  const auto initialize = [&] {
    const at::NoGradGuard no_grad;
    at::manual_seed(seed);
    for (auto& parameter : model) {
      parameter.value.uniform_(-1, 1);
      parameter.momentum.zero_();
    }
  };
  loop.restore({.samples = kSamples, .digest = "sine 1", .initialize = initialize});
  lockstep::prepare_libtorch(loop.threads());  // equal bits for equal batches

  const auto& optimizer = loop.config().optimizer;
  const auto batch = loop.config().data.global_batch;
  const lockstep::DataOrder order{.seed = seed, .length = kSamples};
  const auto& comm = loop.comm();
  const auto slice = lockstep::batch_slice(batch, {.index = comm.rank(), .count = comm.size()});
  while (loop.goes_on()) {
    const auto samples = lockstep::samples_of_slice(order, loop.position(), slice);
    const auto x = at::tensor(samples, at::kFloat).mul(6.0 / kSamples).unsqueeze(1);
    const auto hidden = at::tanh(at::linear(x, model[0].value, model[1].value));
    const auto error = at::linear(hidden, model[2].value).sub(x.sin()).square().sum();
    error.div(batch).backward();
    const at::NoGradGuard no_grad;
    for (auto& [name, value, momentum] : model) {
      auto& gradient = value.mutable_grad();
      MPI_Allreduce(MPI_IN_PLACE, gradient.data_ptr(), static_cast<int>(gradient.numel()),
                    MPI_FLOAT, MPI_SUM, comm.raw());
      momentum.mul_(optimizer.momentum).add_(gradient);
      value.sub_(momentum, optimizer.learning_rate);
      gradient.reset();
    }
    if (comm.is_root() && loop.iteration() % 200 == 0)
      loop.log().info("iteration " + std::to_string(loop.iteration()) + ": error " +
                      std::to_string(error.item<double>() / static_cast<double>(slice.count)));
    loop.completed(batch);
  }
}

int main(int argc, char** argv) {
  return lockstep::own_loop_main(argc, argv, train);
}
