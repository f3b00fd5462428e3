#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/file_system.h"
#include "coordinator/status/curves.h"
#include "coordinator/status/line_reader.h"
#include "coordinator/status/store_picture.h"
#include "coordinator/store_view.h"

namespace lockstep {

// Reads the metrics.jsonl of one attempt as it grows. Local; for one thread.
class CurveReader {
 public:
  explicit CurveReader(std::string path) : lines_(std::move(path)) {}

  // At most so many of LineReader's pieces. true: the curve is another than before; of a file that
  // was cut off it is empty, and the next look begins anew.
  bool look(const FileSystem& files, int pieces);
  bool is_whole() const { return whole_ && !lines_.has_more(); }  // nothing is left to be read
  const CurveMaker& made() const { return maker_; }

 private:
  LineReader lines_;
  CurveMaker maker_;
  bool whole_ = true;
};

// How a lineage runs through attempts: attempt -> where it was left; nullopt: nowhere.
using LineagePath = std::map<std::int64_t, std::optional<std::int64_t>>;

// Reads the metrics of a store's newest attempts as they grow; what can't grow any more is read
// once. Local; for one thread.
class CurveFollower {
 public:
  static constexpr std::size_t kMostAttempts = 64;

  // `pieces`: LineReader's, at most so many of each attempt a look.
  CurveFollower(std::string store, int pieces) : store_(std::move(store)), pieces_(pieces) {}

  // Of those that have said anything, ascending. The same pointer means the same curve.
  std::vector<AttemptCurve> look(const FileSystem& files, const StoreView& view,
                                 const LineagePath& path);

 private:
  struct Followed {
    CurveReader reader;
    std::shared_ptr<const Curve> made;
    bool ended = false;
  };
  std::string store_;
  int pieces_;
  std::map<std::int64_t, Followed> followed_;
};

}  // namespace lockstep
