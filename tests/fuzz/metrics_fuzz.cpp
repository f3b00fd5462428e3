// Lines of a metrics.jsonl that the dashboard draws: whatever they are, a curve ascends, is bounded
// and finite.

#include <algorithm>
#include <cmath>

#include "coordinator/status/curves.h"
#include "tests/fuzz/fuzzing.h"

namespace {

using namespace lockstep;
using namespace lockstep::fuzz;

bool is_finite(const std::optional<double>& value) {
  return !value || std::isfinite(*value);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = text_of(data, size);
  CurveMaker maker;
  const std::string_view all = text;
  for (std::size_t at = 0; at <= all.size();) {
    const auto end = std::min(all.find('\n', at), all.size());
    maker.add(all.substr(at, end - at));
    at = end + 1;
  }
  const auto& curve = maker.curve();
  require(curve.points.size() < 2 * CurveMaker::kMostPoints, "too many points");
  for (std::size_t i = 0; i < curve.points.size(); ++i) {
    const auto& point = curve.points[i];
    require(i == 0 || point.iteration > curve.points[i - 1].iteration, "iterations do not ascend");
    require(is_finite(point.loss) && is_finite(point.accuracy) && is_finite(point.gradient_norm) &&
                is_finite(point.learning_rate) && is_finite(point.samples_per_second) &&
                std::isfinite(point.seconds),
            "a figure is not finite");
  }
  for (const auto& evaluation : curve.evaluations)
    for (const auto& [name, value] : evaluation.metrics)
      require(name.size() <= 100 && std::isfinite(value),
              "a metric is not finite, or its name is long");
  return 0;
}
