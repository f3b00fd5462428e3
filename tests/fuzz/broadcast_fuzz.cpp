// What rank 0 broadcasts: the decision, the places of weights, the configuration. Bytes that its
// encoders did not make are refused.

#include "common/config.h"
#include "common/weights.h"
#include "coordinator/daemon/shared_decision.h"
#include "tests/fuzz/fuzzing.h"

namespace {

using namespace lockstep;
using namespace lockstep::fuzz;

template <typename Decode>
void check(std::string_view bytes, Decode&& decode) {
  const auto value = accepted(
      ErrorCode::kInternal, memory_for(bytes.size()), [&] { return decode(bytes); }, "");
  if (value) require(encode(*value) == bytes, "bytes are taken that encode did not make");
}

// The record is a sealed text within a sealed text.
std::string with_record_resealed(std::string_view text) {
  constexpr std::string_view kKey = R"("record":)";
  const auto key = text.find(kKey);
  if (key == text.npos) return std::string(text);
  const auto begin = key + kKey.size();
  auto end = begin + 1;
  while (end < text.size() && text[end] != '"')
    end += text[end] == '\\' ? 2 : 1;
  if (end >= text.size()) return std::string(text);
  const auto record = nlohmann::json::parse(text.substr(begin, end + 1 - begin), nullptr, false);
  if (!record.is_string()) return std::string(text);
  const auto sealed = resealed(record.get<std::string>());
  if (!sealed) return std::string(text);
  return std::string(text.substr(0, begin)) +
         nlohmann::json(*sealed).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) +
         std::string(text.substr(end + 1));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = text_of(data, size);
  check(text, decode_config);
  check(text, decode_shared_decision);
  check(text, parse_weights);
  if (const auto sealed = resealed(with_record_resealed(text))) {
    check(*sealed, decode_shared_decision);
    check(*sealed, parse_weights);
  }
  return 0;
}
