#include "coordinator/daemon/shared_decision.h"

#include "common/error.h"
#include "common/strict_json.h"

namespace lockstep {

std::string encode(const SharedDecision& decision) {
  return seal({{"attempt", decision.attempt},
               {"nonce", decision.nonce},
               {"record", encode_decision(decision.record)},
               {"manifest", decision.manifest}});
}

SharedDecision decode_shared_decision(std::string_view bytes) {
  constexpr auto kWhat = "the decision that was broadcast";
  try {
    const auto object = unseal(bytes, kWhat);
    SharedDecision decision;
    decision.attempt = integer_member(object, "attempt", kWhat);
    decision.nonce = text_member(object, "nonce", kWhat);
    decision.record = parse_decision(text_member(object, "record", kWhat), kWhat);
    decision.manifest = text_member(object, "manifest", kWhat);
    return decision;
  } catch (const Error& e) {
    throw Error(ErrorCode::kInternal, e.what());
  }
}

}  // namespace lockstep
