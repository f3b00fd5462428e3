#pragma once

#include <cstdint>
#include <memory>

namespace lockstep::cli {

// How far a long read is: bytes, rate and what is left, in one line that replaces itself. Only
// where stderr is a terminal, and only after the first second. Safe from any thread.
class ProgressBar {
 public:
  ProgressBar();
  ~ProgressBar();  // removes the line
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void set_total(std::uint64_t bytes);
  void add(std::uint64_t bytes);
  double seconds() const;  // since it was made

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lockstep::cli
