// The records of a store and its attempts: store.json, claim.json, decision.json, outcome.json and
// the heartbeat; and the JSON that all of them are. Each parser gets each input.

#include "common/attempt_records.h"
#include "common/config.h"
#include "common/decision.h"
#include "common/json_writing.h"
#include "common/strict_json.h"
#include "tests/fuzz/fuzzing.h"

namespace {

using namespace lockstep;
using namespace lockstep::fuzz;

template <typename Parse, typename Encode>
void check(std::string_view text, Parse&& parse, Encode&& encode_again) {
  const auto read = [&](std::string_view from) {
    return accepted(ErrorCode::kDamaged, memory_for(from.size()),
                    [&] { return parse(from, kWhat); });
  };
  const auto record = read(text);
  if (!record) return;
  const std::string written = encode_again(*record);
  require_said(text, written);
  const auto again = read(written);
  require(again && encode_again(*again) == written, "a record comes back as another");
  require_sealed(text, [&](std::string_view changed) { return read(changed).has_value(); });
}

void check_claim(std::string_view text) {
  check(text, parse_claim, [](const Claim& claim) {
    // Its configuration comes as it was written, and is looked into later.
    accepted(
        ErrorCode::kDamaged, memory_for(claim.config.size()),
        [&] { return flat_config(claim.config); }, "config");
    return encode(claim);
  });
}

void check_sealed(std::string_view text) {
  check(text, parse_store_record, [](const StoreRecord& record) { return encode(record); });
  check_claim(text);
  check(text, parse_decision, encode_decision);
  check(text, parse_outcome, [](const Outcome& outcome) { return encode(outcome); });
}

void check_heartbeat(std::string_view text) {
  const auto heartbeat = parse_heartbeat(text);
  if (!heartbeat) return;
  require(heartbeat->counter >= 0 && heartbeat->iteration >= 0, "a heartbeat below zero");
  const auto line = encode(*heartbeat);
  require(line.size() == kHeartbeatBytes, "a heartbeat of another size");
  require(parse_heartbeat(line) == heartbeat, "a heartbeat comes back as another");
}

// Strict: what it takes another parser takes too, as the same value.
void check_json(std::string_view text) {
  const auto value = accepted(ErrorCode::kDamaged, memory_for(text.size()),
                              [&] { return parse_strict_json(text, kWhat); });
  if (!value) return;
  require(nlohmann::json::parse(text, nullptr, false) == *value, "JSON is read as something else");
  require(parse_strict_json(dump_json(*value), kWhat) == *value, "JSON comes back as another");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = text_of(data, size);
  check_json(text);
  check_heartbeat(text);
  check_sealed(text);
  if (const auto sealed = resealed(text)) check_sealed(*sealed);
  return 0;
}
