#pragma once

#include <memory>
#include <string>

#include "common/config.h"
#include "worker/task.h"

namespace lockstep {

// The task `language_model`: which byte follows in a text, by a GPT (Radford et al., 2019: layer
// norm in front of attention and MLP, learned positions; here without dropout, and the head has
// weights of its own). Tensors are named as PyTorch's modules of that shape have them:
// "blocks.0.qkv.weight".
//
// Sample i is the bytes [i * context, (i + 1) * context] of the text: all but the last are what the
// model reads, all but the first are what it is to foresee. The last twentieth of the samples, 1024
// at most, are for evaluation. The loss of a sample is the mean over its bytes, in nats a byte.
//
// Local: maps the text below `path` (mapped_text.h, with its errors) and reads it once.
// Error(kInvalidConfig): too short for a sample of each kind. Deterministic: equal bits for equal
// batches and threads.
std::unique_ptr<Task> make_language_model(const TaskConfig& config, const std::string& path,
                                          int threads);

}  // namespace lockstep
