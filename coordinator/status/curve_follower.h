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
    LineReader reader;
    CurveMaker maker;
    std::shared_ptr<const Curve> made;
    bool ended = false;
  };
  void follow(const FileSystem& files, Followed& one, bool ended) const;

  std::string store_;
  int pieces_;
  std::map<std::int64_t, Followed> followed_;
};

}  // namespace lockstep
