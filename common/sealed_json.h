#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace lockstep {

// A record on disk carries its own digest: {"..., "digest": "<digest128 of the text without it>"}.
// seal gives the file's text (keys sorted, one line, newline at the end); unseal checks and gives
// the object without the digest. Error(kDamaged) where the digest is absent or wrong. It is over
// the text, not its meaning, so every flipped bit is seen, white space included.
// `ready`: further members, as JSON texts without white space: large lists, of which a tree would
// take many times the memory.
struct ReadyMember {
  std::string key;
  std::string text;
};
std::string seal(nlohmann::json object, std::span<const ReadyMember> ready = {});
// `opaque`: a member that comes as its JSON text, not as a tree: a large one that few look into.
nlohmann::json unseal(std::string_view text, std::string_view what, std::string_view opaque = {});
// The elements of a list that came so, one tree at a time.
void for_each_element(const nlohmann::json& object, const char* opaque, std::string_view what,
                      const std::function<void(const nlohmann::json&)>& each);

}  // namespace lockstep
