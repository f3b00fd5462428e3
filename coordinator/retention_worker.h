#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

namespace lockstep {

// Where retention runs: beside training, or, so that a test sees file operations in one order, on
// the thread that commits.
enum class RunsOn : std::uint8_t { kOwnThread, kCallersThread };

// Rank 0's thread that runs a pass of retention after each commit, so that deleting never holds up
// training. At most one pass waits: commits that come meanwhile are one pass. Never calls MPI.
class RetentionWorker {
 public:
  // One pass: `acknowledged` is the iteration of the last commit; it should end soon where
  // `hurried()` is true. Must not throw.
  using Pass = std::function<void(std::int64_t acknowledged, const std::function<bool()>& hurried)>;

  RetentionWorker(Pass pass, RunsOn runs_on);
  ~RetentionWorker();  // as finish(0)
  RetentionWorker(const RetentionWorker&) = delete;
  RetentionWorker& operator=(const RetentionWorker&) = delete;

  void committed(std::int64_t iteration);
  // Waits until all is done, at most `limit_s`; then what is under way is hurried, and what waits
  // is dropped. The thread is gone on return. Nothing may be committed afterwards.
  void finish(std::optional<double> limit_s);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lockstep
