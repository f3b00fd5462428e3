#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "common/file_system.h"
#include "common/log.h"
#include "common/metrics.h"
#include "coordinator/metrics_lines.h"
#include "coordinator/retention_worker.h"

namespace lockstep {

struct StoreView;

// TensorBoard's event file of an attempt.
struct EventFile {
  std::string folder;       // made where it is missing
  std::string name;         // event_file_name()
  std::int64_t first_step;  // what TensorBoard has read from there on is forgotten
};

// Rank 0's record of how training goes: metrics.jsonl of the attempt and, where it is asked for,
// TensorBoard's event file. A thread of its own writes, so that a slow store never holds up
// training; more than kMostWaiting records don't wait for it, and are counted as lost. Where no
// thread can be had the caller's writes. What can't be written is a warning, once
// (growing_file.h). `files` and `log` must outlive it. Never calls
// MPI.
class MetricsLog {
 public:
  static constexpr std::size_t kMostWaiting = 4096;

  // Begins the files, on the caller's thread: with the start of the attempt, where curves go back
  // to. `may_write`: asked before each record behind that, by who writes; false drops it.
  MetricsLog(FileSystem& files, const Log& log, const MetricsOrigin& origin,
             const std::string& attempt_path, const std::optional<EventFile>& events,
             RunsOn runs_on, std::function<bool()> may_write = {});
  ~MetricsLog();  // as finish(0)
  MetricsLog(const MetricsLog&) = delete;
  MetricsLog& operator=(const MetricsLog&) = delete;

  // Never wait for the store.
  void add(const Interval& interval);
  void add(const Evaluation& evaluation);
  // Waits until all is written, at most `limit_s`; what then still waits is lost. The thread is
  // gone on return. Nothing may be added afterwards.
  void finish(double limit_s);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Local: the first step that TensorBoard must forget when an attempt begins: the one behind the
// last that its lineage shares with that of the newest of the earlier attempts in `store` that have
// an event file in `folder`. A folder that can't be listed says nothing.
std::int64_t first_step_to_forget(const FileSystem& files, const std::string& folder,
                                  const StoreView& store, const MetricsOrigin& origin);

}  // namespace lockstep
