#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "common/file_system.h"
#include "common/metrics.h"

namespace lockstep::cli {

// Pure: a line of metrics.jsonl; what is neither an interval nor an evaluation, be it no JSON or of
// a later version, is nothing. A loss that is null is NaN.
std::variant<std::monostate, Interval, Evaluation> parse_metrics_line(std::string_view line);

// The last lines of an attempt's metrics.jsonl, which grows meanwhile. What is in it is not
// trusted: of a long file only the end is read, and lines that can't be parsed are passed over.
class MetricsTail {
 public:
  static constexpr std::size_t kMostIntervals = 512;
  static constexpr std::uint64_t kMostBytes = std::uint64_t{256} << 10;  // of one reading

  explicit MetricsTail(std::string path) : path_(std::move(path)) {}

  // Local: takes in what has been added; a file that is not there adds nothing, one that has become
  // shorter is another. Error(kIo). Cost: one open, and what is new.
  void read(const FileSystem& files);

  const std::deque<Interval>& intervals() const { return intervals_; }         // ascending
  const std::optional<Evaluation>& evaluation() const { return evaluation_; }  // the last

 private:
  void take(std::string_view line);

  std::string path_;
  std::uint64_t read_to_ = 0;  // the end of the last whole line
  bool in_midst_ = false;      // of a line whose beginning was left out
  std::deque<Interval> intervals_;
  std::optional<Evaluation> evaluation_;
};

}  // namespace lockstep::cli
