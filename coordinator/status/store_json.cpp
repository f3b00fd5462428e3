#include "coordinator/status/store_json.h"

#include "coordinator/json_text.h"
#include "coordinator/status/json_parts.h"

namespace lockstep {

namespace {

Json id_json(const std::optional<CheckpointId>& id) {
  return id ? Json{{"attempt", id->attempt}, {"iteration", id->iteration}} : Json();
}

}  // namespace

std::string lineage_json(const StorePicture& picture) {
  Json out;
  out["revision"] = picture.lineage_revision;
  out["attempts"] = Json::array();
  for (const auto& row : picture.attempts)
    out["attempts"].push_back({{"attempt", row.number},
                               {"run", or_null(row.run)},
                               {"parent", id_json(row.parent)},
                               {"origin", row.origin},
                               {"source", or_null(row.source)},
                               {"outcome", or_null(row.outcome)},
                               {"state", row.state},
                               {"in_lineage", row.in_lineage},
                               {"damage", row.damage}});
  out["checkpoints"] = Json::array();
  for (const auto& row : picture.checkpoints) {
    auto json = row_json(row);
    json["eligible"] = is_eligible(row.standing);
    json["world_size"] = or_null(row.world_size);
    json["metrics"] = metrics_json(row.metrics);
    json["pinned"] = row.pinned;
    json["best"] = row.best;
    json["why"] = row.why.empty() ? Json() : Json(row.why);
    out["checkpoints"].push_back(std::move(json));
  }
  return json_text(out);
}

namespace {

// So many points of all attempts together: what a page can draw, and a few megabytes at most.
constexpr std::size_t kMostPointsInAll = 20000;
constexpr std::size_t kMostEvaluationsInAll = 4000;

// Of so many one is shown.
template <typename Member>
std::size_t stride_of(const StorePicture& picture, Member member, std::size_t most) {
  std::size_t all = 0;
  for (const auto& one : picture.curves)
    all += member(*one.curve).size();
  return all / most + 1;
}

Json curve_json(const AttemptCurve& given, std::size_t point_stride,
                std::size_t evaluation_stride) {
  const auto& curve = *given.curve;
  Json json = {{"attempt", given.attempt},       {"run", or_null(given.run)},
               {"branch", curve.branch},         {"parent", or_null(curve.parent)},
               {"in_lineage", given.in_lineage}, {"until", or_null(given.until)}};
  const auto column = [&](const char* name, auto member) {
    auto values = Json::array();
    for (std::size_t i = 0; i < curve.points.size(); i += point_stride)
      values.push_back(member(curve.points[i]));
    json[name] = std::move(values);
  };
  column("iteration", [](const CurvePoint& point) { return Json(point.iteration); });
  column("loss", [](const CurvePoint& point) { return or_null(point.loss); });
  column("accuracy", [](const CurvePoint& point) { return or_null(point.accuracy); });
  column("gradient_norm", [](const CurvePoint& point) { return or_null(point.gradient_norm); });
  column("learning_rate", [](const CurvePoint& point) { return or_null(point.learning_rate); });
  column("samples_per_second",
         [](const CurvePoint& point) { return or_null(point.samples_per_second); });
  json["evaluations"] = Json::array();
  for (std::size_t i = 0; i < curve.evaluations.size(); i += evaluation_stride)
    json["evaluations"].push_back({{"iteration", curve.evaluations[i].iteration},
                                   {"metrics", metrics_json(curve.evaluations[i].metrics)}});
  return json;
}

}  // namespace

std::string curves_json(const StorePicture& picture) {
  Json out;
  out["revision"] = picture.curves_revision;
  out["attempts"] = Json::array();
  const auto points = stride_of(
      picture, [](const Curve& curve) -> const auto& { return curve.points; }, kMostPointsInAll);
  const auto evaluations = stride_of(
      picture, [](const Curve& curve) -> const auto& { return curve.evaluations; },
      kMostEvaluationsInAll);
  for (const auto& curve : picture.curves)
    out["attempts"].push_back(curve_json(curve, points, evaluations));
  return json_text(out);
}

std::string decision_json(const StorePicture& picture) {
  const auto& newest = picture.newest;
  return newest && newest->decision ? to_json(*newest->decision) : "null";
}

}  // namespace lockstep
