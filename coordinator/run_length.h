#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/file_system.h"
#include "coordinator/store_view.h"

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

// Pure: the iteration behind which an attempt's own work begins: 0, or what it carries on from.
std::int64_t start_iteration(const AttemptView& attempt);

// Local: an attempt's iterations a second on average, by the file server's clock alone: the times
// of its claim and of its heartbeat. nullopt: not known, or none is made.
std::optional<double> average_rate(const FileSystem& files, const std::string& store,
                                   const AttemptView& attempt);

// When an attempt wrote what, in seconds since 1970 by the file server's clock.
struct WrittenAt {
  std::int64_t claim_s = 0;
  std::int64_t metrics_s = 0;    // the last line of metrics.jsonl
  std::int64_t heartbeat_s = 0;  // the last: its thread writes on when training stands still
};
// Pure: seconds without a line in metrics.jsonl, where that is so much longer than usual that the
// attempt may stand still. `intervals`: how many lines there are by now, about. nullopt: it does
// not look so, or too few have been written to tell. Network file systems show another host's
// writes up to a minute late.
std::optional<double> still_seconds(const WrittenAt& at, double intervals);
// Local: that of an attempt in a store.
std::optional<double> still_seconds(const FileSystem& files, const std::string& store,
                                    const AttemptView& attempt);

}  // namespace lockstep
