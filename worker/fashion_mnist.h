#pragma once

#include <memory>
#include <optional>
#include <string>

#include "worker/task.h"

namespace lockstep {

// The task `fashion_mnist`: the 60,000 training and 10,000 test images of Fashion-MNIST (10
// classes) and a small convolutional network with batch normalization. Deterministic: equal bits
// for equal batches and threads.
//
// Local: reads the data below `path` (absent: where Debian's package dataset-fashion-mnist puts
// it). Error(kNotFound, kDamaged, kIo): see idx_file.h.
std::unique_ptr<Task> make_fashion_mnist(const std::optional<std::string>& path, int threads);

}  // namespace lockstep
