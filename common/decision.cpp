#include "common/decision.h"

#include <array>
#include <utility>

#include "common/error.h"
#include "common/json_members.h"
#include "common/json_writing.h"
#include "common/record_json.h"
#include "common/sealed_json.h"
#include "common/strict_json.h"

namespace lockstep {
namespace {

using nlohmann::json;

constexpr std::array<std::pair<DecisionKind, std::string_view>, 4> kKinds{
    {{DecisionKind::kFresh, "fresh"},
     {DecisionKind::kRestore, "restore"},
     {DecisionKind::kFinished, "finished"},
     {DecisionKind::kError, "error"}}};

// DESIGN's order.
constexpr std::array kFields{"kind",      "attempt",  "parent",  "source",   "request",
                             "run",       "verified", "reasons", "rejected", "manifest_digest",
                             "exit_code", "error"};

json rejected_json(const std::vector<Rejected>& rejected) {
  json list = json::array();
  for (const Rejected& one : rejected) {
    list.push_back({{"attempt", one.checkpoint.attempt},
                    {"iteration", one.checkpoint.iteration},
                    {"why", one.why}});
  }
  return list;
}

json record_json(const DecisionRecord& record) {
  return {{"kind", to_text(record.kind)},
          {"attempt", json_or_null(record.attempt)},
          {"parent", parent_json(record.parent)},
          {"source", json_or_null(record.source)},
          {"request", object_of_text(record.request, "request")},
          {"run", record.run},
          {"verified", record.verified_bytes ? "bytes" : "headers"},
          {"reasons", record.reasons},
          {"rejected", rejected_json(record.rejected)},
          {"manifest_digest", json_or_null(record.manifest_digest)},
          {"exit_code", record.exit_code},
          {"error", json_or_null(record.error)}};
}

DecisionKind parse_kind(const json& object, std::string_view what) {
  const std::string text = text_member(object, "kind", what);
  for (const auto& [kind, name] : kKinds) {
    if (name == text) return kind;
  }
  throw_damaged(what, "kind is none that is known");
}

bool parse_verified(const json& object, std::string_view what) {
  const std::string text = text_member(object, "verified", what);
  if (text != "bytes" && text != "headers") throw_damaged(what, "verified is none that is known");
  return text == "bytes";
}

std::vector<Rejected> parse_rejected(const json& object, std::string_view what) {
  std::vector<Rejected> rejected;
  for (const json& entry : array_member(object, "rejected", what)) {
    rejected.push_back(
        {.checkpoint = checkpoint_members(entry, what), .why = text_member(entry, "why", what)});
  }
  return rejected;
}

}  // namespace

std::string to_text(DecisionKind kind) {
  for (const auto& [known, name] : kKinds) {
    if (known == kind) return std::string(name);
  }
  throw Error(ErrorCode::kInternal, "no such kind of decision");
}

std::string to_json(const DecisionRecord& record) {
  const json object = record_json(record);
  std::string text;
  for (const char* field : kFields) {
    text += text.empty() ? "{" : ", ";
    text += "\"" + std::string(field) + "\": " + dump_json(object[field]);
  }
  return text + "}";
}

std::string encode_decision(const DecisionRecord& record) {
  return seal(record_json(record));
}

DecisionRecord parse_decision(std::string_view text, std::string_view what) {
  const json object = unseal(text, what);
  DecisionRecord record;
  record.kind = parse_kind(object, what);
  record.attempt = optional_integer_member(object, "attempt", what);
  record.parent = parent_member(object, "parent", what);
  record.source = optional_text_member(object, "source", what);
  record.request = object_member(object, "request", what).dump();
  record.run = text_member(object, "run", what);
  record.verified_bytes = parse_verified(object, what);
  record.reasons = texts_member(object, "reasons", what);
  record.rejected = parse_rejected(object, what);
  record.manifest_digest = optional_text_member(object, "manifest_digest", what);
  record.exit_code = exit_code_member(object, "exit_code", what);
  record.error = optional_text_member(object, "error", what);
  if (record.attempt == 0) throw_damaged(what, "attempt is 0");
  return record;
}

}  // namespace lockstep
