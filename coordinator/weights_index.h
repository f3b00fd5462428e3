#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/names.h"
#include "common/weights.h"

namespace lockstep {

// "model.safetensors.index.json" as Hugging Face writes it beside several safetensors files:
// {"metadata": {...}, "weight_map": {"TENSOR": "model-00001-of-00002.safetensors", ...}}.
struct WeightsIndex {
  std::vector<std::string> files;             // names in the index's folder, sorted
  std::map<std::string, std::string> places;  // tensor -> file
};

// Pure: Error(kDamaged), text starts with `what`. File names are single components.
WeightsIndex parse_weights_index(std::string_view text, std::string_view what);

// Pure: that each file holds the tensors that the index says, no fewer and no more.
// Error(kMismatch) that lists what differs.
void require_as_indexed(const WeightsIndex& index, const Weights& weights, std::string_view what);

// Pure: which checkpoint a manifest says that it is of. Error(kDamaged).
CheckpointId checkpoint_of_manifest(std::string_view text);

}  // namespace lockstep
