#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/manifest.h"
#include "common/metrics.h"
#include "coordinator/process_memory.h"

namespace lockstep {

// The lines of an attempt's metrics.jsonl: one JSON object each, newline included. What is not
// finite is null. All: Pure.

// Whose they are: every line says it.
struct MetricsOrigin {
  std::string run;
  std::int64_t attempt = 0;
  std::int64_t iteration = 0;         // where the attempt began: its branch
  std::int64_t position = 0;          // samples passed by then
  std::optional<Parent> parent = {};  // what it carries on
};

// `time_s`: since 1970.
std::string start_line(const MetricsOrigin& origin, double time_s);
std::string line_of(const MetricsOrigin& origin, double time_s, const Interval& interval,
                    const ProcessMemory& memory);
std::string line_of(const MetricsOrigin& origin, double time_s, const Evaluation& evaluation);

// "2026-01-31T13:05:09.123Z"
std::string utc_text(double time_s);

}  // namespace lockstep
