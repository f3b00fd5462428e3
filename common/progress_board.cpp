#include "common/progress_board.h"

#include <array>

namespace lockstep {
namespace {

constexpr std::array<std::string_view, kPhases> kNames = {"launch", "restore",  "prepare", "load",
                                                          "train",  "evaluate", "save",    "end"};
constexpr int kMovesShift = 8;
constexpr int kPassedShift = 32;
constexpr std::uint64_t kPhaseMask = 0x7F;
constexpr std::uint64_t kWorkingBit = 0x80;
constexpr std::uint32_t kMovesMask = 0xFFFFFF;

std::uint64_t pack(const RankStanding& standing) {
  return std::uint64_t{standing.passed} << kPassedShift |
         std::uint64_t{standing.moves & kMovesMask} << kMovesShift |
         (standing.working ? kWorkingBit : 0) | static_cast<std::uint64_t>(standing.phase);
}

RankStanding unpack(std::uint64_t word) {
  return {.phase = static_cast<Phase>(word & kPhaseMask),
          .working = (word & kWorkingBit) != 0,
          .passed = static_cast<std::uint32_t>(word >> kPassedShift),
          .moves = static_cast<std::uint32_t>(word >> kMovesShift) & kMovesMask};
}

}  // namespace

std::string_view to_text(Phase phase) {
  return kNames.at(static_cast<std::size_t>(phase));
}

void ProgressBoard::enter(Phase phase) noexcept {
  auto now = standing();
  now.phase = phase;
  ++now.passed;
  word_.store(pack(now), std::memory_order_relaxed);
}

void ProgressBoard::pass() noexcept {
  auto now = standing();
  ++now.passed;
  word_.store(pack(now), std::memory_order_relaxed);
}

void ProgressBoard::move() noexcept {
  auto now = standing();
  ++now.moves;
  word_.store(pack(now), std::memory_order_relaxed);
}

void ProgressBoard::set_working(bool working) noexcept {
  auto now = standing();
  now.working = working;
  word_.store(pack(now), std::memory_order_relaxed);
}

void ProgressBoard::set_iteration_seconds(double seconds) noexcept {
  iteration_seconds_.store(seconds, std::memory_order_relaxed);
}

void ProgressBoard::set_work_seconds(double seconds) noexcept {
  work_seconds_.store(seconds, std::memory_order_relaxed);
}

RankStanding ProgressBoard::standing() const noexcept {
  return unpack(word_.load(std::memory_order_relaxed));
}

double ProgressBoard::iteration_seconds() const noexcept {
  return iteration_seconds_.load(std::memory_order_relaxed);
}

double ProgressBoard::work_seconds() const noexcept {
  return work_seconds_.load(std::memory_order_relaxed);
}

}  // namespace lockstep
