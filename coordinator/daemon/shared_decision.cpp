#include "coordinator/daemon/shared_decision.h"

#include "common/error.h"
#include "common/json_members.h"
#include "common/json_writing.h"
#include "common/sealed_json.h"
#include "common/strict_json.h"

namespace lockstep {

std::string encode(const SharedDecision& decision) {
  const auto& id = decision.checkpoint;
  return seal({{"attempt", decision.attempt},
               {"nonce", decision.nonce},
               {"record", encode_decision(decision.record)},
               {"checkpoint", json_or_null(id ? std::optional(to_text(*id)) : std::nullopt)},
               {"folder", decision.folder},
               {"manifest", decision.manifest},
               {"weights", decision.weights},
               {"model_only", decision.selection.model_only},
               {"exclude", decision.selection.exclude},
               {"skip_samples", decision.skip_samples}});
}

SharedDecision decode_shared_decision(std::string_view bytes) {
  constexpr auto kWhat = "the decision that was broadcast";
  try {
    const auto object = unseal(bytes, kWhat);
    SharedDecision decision;
    decision.attempt = integer_member(object, "attempt", kWhat);
    decision.nonce = text_member(object, "nonce", kWhat);
    decision.record = parse_decision(text_member(object, "record", kWhat), kWhat);
    if (const auto id = optional_text_member(object, "checkpoint", kWhat)) {
      decision.checkpoint = parse_checkpoint_id(*id);
      if (!decision.checkpoint) throw_damaged(kWhat, "checkpoint is none");
    }
    decision.folder = text_member(object, "folder", kWhat);
    decision.manifest = text_member(object, "manifest", kWhat);
    decision.weights = text_member(object, "weights", kWhat);
    decision.selection.model_only = bool_member(object, "model_only", kWhat);
    decision.selection.exclude = texts_member(object, "exclude", kWhat);
    decision.skip_samples = integer_member(object, "skip_samples", kWhat);
    if (encode(decision) != bytes) throw_damaged(kWhat, "is not as rank 0 writes it");
    return decision;
  } catch (const Error& e) {
    throw Error(ErrorCode::kInternal, e.what());
  }
}

}  // namespace lockstep
