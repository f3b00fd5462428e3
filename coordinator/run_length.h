#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace lockstep {

// A place in the data of a run, as a checkpoint has it.
struct DataPlace {
  std::int64_t iteration = 0;
  std::int64_t position = 0;  // samples by then
  std::int64_t length = 0;    // of the data
};

// Pure: the iteration at which a job with this configuration (canonical JSON) ends. `data`: where
// it is known how long the data is, for max_epochs. nullopt: not known.
std::optional<std::int64_t> final_iteration(const std::string& config,
                                            const std::optional<DataPlace>& data);

}  // namespace lockstep
