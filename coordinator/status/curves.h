#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep {

// What an attempt's metrics.jsonl tells, thinned: curves to be drawn, and its latest figures.

// A line of an interval. What is not there, or not finite, is nullopt.
struct CurvePoint {
  std::int64_t iteration = 0;
  std::int64_t position = 0;
  std::optional<double> loss;
  std::optional<double> accuracy;
  std::optional<double> gradient_norm;
  std::optional<double> learning_rate;
  std::optional<double> samples_per_second;
  std::int64_t iterations = 0;  // in it
  double seconds = 0;
  std::map<std::string, double> spent_s;  // "compute": seconds of it
};

struct EvaluationPoint {
  std::int64_t iteration = 0;
  std::map<std::string, double> metrics;
};

struct Curve {
  std::int64_t branch = 0;                   // where it began
  std::optional<std::string> parent;         // "2@1500"
  std::vector<CurvePoint> points;            // ascending, less than 2 x kMostPoints, evenly thinned
  std::vector<EvaluationPoint> evaluations;  // likewise
  std::optional<CurvePoint> last;            // never thinned away, as the next
  std::optional<EvaluationPoint> last_evaluation;
};

// Takes lines one after the other. Nothing that is read is trusted: what is no line of
// metrics.jsonl is passed over, an iteration that does not ascend too. Pure.
class CurveMaker {
 public:
  static constexpr std::size_t kMostPoints = 1000;
  static constexpr std::size_t kMostRecent = 20;

  void add(std::string_view line);
  const Curve& curve() const { return curve_; }
  const std::deque<CurvePoint>& recent() const { return recent_; }  // the last, every one of them

 private:
  // One of `stride` is kept; where there are too many every other one goes. So what was drawn stays
  // where it was, and a curve costs the same however long it is.
  struct Thinning {
    std::size_t stride = 1;
    std::size_t seen = 0;

    template <typename Point>
    void keep(std::vector<Point>& kept, const Point& point);
  };

  Curve curve_;
  std::deque<CurvePoint> recent_;
  Thinning points_;
  Thinning evaluations_;
};

}  // namespace lockstep
