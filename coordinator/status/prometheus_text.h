#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "coordinator/status/facts.h"

namespace lockstep {

// Pure: what /metrics answers and metrics.textfile holds, in Prometheus' text format. Names and
// units by its conventions; no series for each rank, but quantiles and the 16 slowest; no paths,
// hosts, users or values of the configuration. What is not known has no series.
// `resident_bytes`: of the process.
std::string prometheus_text(const StatusPicture& picture,
                            std::optional<std::int64_t> resident_bytes);

}  // namespace lockstep
