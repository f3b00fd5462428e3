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
enum class RestoreWish : std::uint8_t { kUnknown, kFresh, kLatest, kAuto };

// Pure: "none", "off" and "False" ask for fresh, "last", "true" and "Resume" for latest, "hpc" and
// "allow" for auto. Case, '-' and '_' do not count.
RestoreWish wish_of(std::string_view word);

// Pure: the iteration that a checkpoint's name elsewhere ends in: "x/checkpoint-1800",
// "iter_0001800" and "epoch=3-step=1800.ckpt" are of "1800"; "" for what is no such name.
std::string iteration_in_name(std::string_view name);

// Pure: what to write behind `restore:` for what a word, a number or a checkpoint's name elsewhere
// means: "none" -> "fresh", "-1" -> "auto", "ckpt-1800" -> "1800", "Latest" -> "latest", "3@1200"
// as it is; "" for what is not known, a path too.
std::string restore_form(std::string_view text);

// Pure: Error(kInvalidConfig) where a word of the section, as it stands in the file, is not where
// it belongs: `{latest}`, or a `mode` that is none of the modes, but known: `{mode: auto}`.
void check_restore_words(const YamlNode& restore);

// Pure: takes out of the section what contradicts the key of it that --set has just set.
void drop_contradictions(YamlNode& restore, const std::string& key);

// Pure: Error(kInvalidConfig) where keys of the section contradict each other; else fills in the
// `mode` that `iteration`, `attempt` or `from` imply. `section`: where the section stands.
void complete_restore(GivenValues& given, const Place& section);

}  // namespace lockstep
