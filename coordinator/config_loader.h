#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config.h"

namespace lockstep {

// Looks up an environment variable. A parameter, so that loading is a function of its arguments.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

// The process's own.
std::optional<std::string> process_environment(const std::string& name);

// Local: reads and checks the YAML file at `path` (at most 1 MiB, a regular file), with `overrides`
// ("restore.iteration=1200", values in YAML) applied on top, in order. Links on the way to a store
// are followed. Throws Error(kInvalidConfig): "train.yaml:LINE:COL: what is wrong; did you mean
// ...". One line, or two: cause and advice. Error(kIo) where the file can't be read now.
LoadedConfig load_config(const std::string& path, const std::vector<std::string>& overrides,
                         const Environment& environment);

// Pure but for `environment`: the same for a text. `path` is for messages and for relative paths.
LoadedConfig parse_config(std::string_view text, const std::string& path,
                          const std::vector<std::string>& overrides,
                          const Environment& environment);

}  // namespace lockstep
