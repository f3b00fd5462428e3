#include "coordinator/status/json_parts.h"

#include <cmath>

namespace lockstep {

Json number(double value) {
  return std::isfinite(value) ? Json(value) : Json();
}

Json metrics_json(const std::map<std::string, double>& metrics) {
  auto json = Json::object();
  for (const auto& [name, value] : metrics)
    json[name] = number(value);
  return json;
}

Json row_json(const CheckpointRow& row) {
  return {{"attempt", row.id.attempt},
          {"iteration", row.id.iteration},
          {"state", to_text(row.standing)},
          {"bytes", row.bytes},
          {"created", or_null(row.created)}};
}

}  // namespace lockstep
