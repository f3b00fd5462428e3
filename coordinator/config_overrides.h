#pragma once

#include <string>
#include <vector>

#include "coordinator/yaml_tree.h"

namespace lockstep {

// Pure: puts "restore.iteration=1200" and the like into the tree, in order. What a key held before
// is replaced, whole sections too; what of `restore` would then contradict it is taken out.
// Error(kInvalidConfig), named after the option: "--set restore.iteration: ...".
void apply_overrides(YamlNode& root, const std::vector<std::string>& overrides);

}  // namespace lockstep
