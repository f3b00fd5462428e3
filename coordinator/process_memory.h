#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace lockstep {

struct ProcessMemory {
  std::optional<std::int64_t> resident_bytes;  // now
  std::optional<std::int64_t> peak_bytes;      // the most that was resident
};

// Pure: what a text of the form of /proc/PID/status tells.
ProcessMemory parse_process_memory(std::string_view status);

// Local: this process's.
ProcessMemory process_memory();

}  // namespace lockstep
