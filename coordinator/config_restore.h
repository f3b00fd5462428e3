#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "coordinator/yaml_tree.h"

namespace lockstep {

// The keys that a user gave, checked one by one: "restore.iteration" -> 1200 and where it stands.
struct GivenValue {  // NOLINT(bugprone-exception-escape): the JSON library's move is not noexcept
  nlohmann::json value;
  Place place;
};
using GivenValues = std::map<std::string, GivenValue>;

// Pure: the `restore` section with its short form written out: `auto` -> {mode: latest, if_missing:
// fresh}, `3@1200` -> {attempt: 3, iteration: 1200}. A mapping stays as it is; anything else is
// Error(kInvalidConfig).
YamlNode long_restore(YamlNode restore);

// What a word that is none of restore's, but stands for one, asks for.
enum class RestoreWish : std::uint8_t { kUnknown, kFresh, kLatest };

// Pure: "none", "off" and "False" ask for fresh, "last", "true" and "Resume" for latest. Case, '-'
// and '_' do not count.
RestoreWish wish_of(std::string_view word);

// Pure: `text` where it is one of restore's words, as `restore: TEXT` has them, or A@N; else "".
std::string restore_word(std::string_view text);

// Pure: what to write in place of a restore.mode that is none: "; write iteration: 1200"; or "".
std::string instead_of_mode(const std::string& text);

// Pure: takes out of the section what contradicts the key of it that --set has just set.
void drop_contradictions(YamlNode& restore, const std::string& key);

// Pure: Error(kInvalidConfig) where keys of the section contradict each other; else fills in the
// `mode` that `iteration`, `attempt` or `from` imply. `section`: where the section stands.
void complete_restore(GivenValues& given, const Place& section);

}  // namespace lockstep
