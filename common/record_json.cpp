#include "common/record_json.h"

#include "common/strict_json.h"

namespace lockstep {

using nlohmann::json;

json parent_json(const std::optional<Parent>& parent) {
  if (!parent) return nullptr;
  json object = {{"attempt", parent->checkpoint.attempt},
                 {"iteration", parent->checkpoint.iteration}};
  if (parent->store)
    object["store"] = parent->store->empty() ? json(nullptr) : json(*parent->store);
  return object;
}

std::optional<Parent> parent_member(const json& object, const char* key, std::string_view what) {
  if (member(object, key, what).is_null()) return std::nullopt;
  const json& value = object_member(object, key, what);
  Parent parent{.checkpoint = checkpoint_members(value, what), .store = std::nullopt};
  if (value.contains("store")) {
    parent.store = optional_text_member(value, "store", what).value_or("");
    if (parent.store->empty() && !value["store"].is_null()) throw_damaged(what, "store is empty");
  }
  return parent;
}

CheckpointId checkpoint_members(const json& object, std::string_view what) {
  const CheckpointId id{.attempt = integer_member(object, "attempt", what),
                        .iteration = integer_member(object, "iteration", what)};
  if (id.attempt < 1) throw_damaged(what, "attempt is 0");
  return id;
}

int exit_code_member(const json& object, const char* key, std::string_view what) {
  constexpr std::int64_t kMaxExitCode = 255;
  const std::int64_t code = integer_member(object, key, what);
  if (code > kMaxExitCode) throw_damaged(what, std::string(key) + " is above 255");
  return static_cast<int>(code);
}

}  // namespace lockstep
