#pragma once

#include <cstddef>
#include <string>

namespace lockstep {

// Local: the bytes of the user's configuration. Error(kInvalidConfig) where it is missing, larger
// than 1 MiB, not a regular file or not allowed to be read; Error(kIo) where it can't be read now.
std::string read_config_file(const std::string& path);

// Pure: Error(kInvalidConfig) above 1 MiB.
void check_config_size(std::size_t bytes, const std::string& name);

}  // namespace lockstep
