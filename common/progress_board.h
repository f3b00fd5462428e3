#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

namespace lockstep {

// What a rank is at, in the order in which a job comes there.
enum class Phase : std::uint8_t {
  kLaunch,   // until all ranks have joined and share a configuration
  kRestore,  // rank 0 looks at the store and decides; the others wait
  kPrepare,  // model and data are built
  kLoad,     // what was decided is read
  kTrain,
  kEvaluate,
  kSave,
  kEnd,
};
constexpr int kPhases = 8;

std::string_view to_text(Phase phase);  // "save"

// How far a rank's training thread has come.
struct RankStanding {
  Phase phase = Phase::kLaunch;
  bool working = false;      // inside something of its own, not waiting for other ranks
  std::uint32_t passed = 0;  // points that all ranks pass equally often: comparable between ranks
  std::uint32_t moves = 0;   // anything else it has done; wraps at 2^24

  friend bool operator==(const RankStanding&, const RankStanding&) = default;
};

// Where a rank's training thread says how far it has come, for the watchdog's thread to see. One
// thread writes, any may read. Cost: a relaxed load and store a call, no lock.
class ProgressBoard {
 public:
  void enter(Phase phase) noexcept;  // also a point passed
  void pass() noexcept;              // a point that all ranks pass equally often
  void move() noexcept;              // this rank has got something done
  void set_working(bool working) noexcept;
  // The median time of late iterations, and of this rank's own work in them, waiting for others
  // left out; 0 before the first one is complete.
  void set_iteration_seconds(double seconds) noexcept;
  void set_work_seconds(double seconds) noexcept;

  RankStanding standing() const noexcept;
  double iteration_seconds() const noexcept;
  double work_seconds() const noexcept;

 private:
  // One word, so that a reader never sees half of a change: passed 32 bits, moves 24, working 1,
  // phase 7.
  std::atomic<std::uint64_t> word_{0};
  std::atomic<double> iteration_seconds_{0};
  std::atomic<double> work_seconds_{0};
};

// While it lives the thread is at work of its own: where all ranks hang, those at work are to blame
// and not those that wait for them.
class AtWork {
 public:
  explicit AtWork(ProgressBoard& board) noexcept : board_(board), outer_(board.standing().working) {
    board_.set_working(true);
  }
  ~AtWork() {
    board_.move();
    board_.set_working(outer_);
  }
  AtWork(const AtWork&) = delete;
  AtWork& operator=(const AtWork&) = delete;

 private:
  ProgressBoard& board_;
  bool outer_;
};

// A phase within another one. All ranks enter and leave it alike, by an exception too.
class WithinPhase {
 public:
  WithinPhase(ProgressBoard& board, Phase phase) noexcept
      : board_(board), outer_(board.standing().phase) {
    board_.enter(phase);
  }
  ~WithinPhase() { board_.enter(outer_); }
  WithinPhase(const WithinPhase&) = delete;
  WithinPhase& operator=(const WithinPhase&) = delete;

 private:
  ProgressBoard& board_;
  Phase outer_;
};

}  // namespace lockstep
