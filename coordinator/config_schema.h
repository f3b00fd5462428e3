#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep {

enum class ValueKind {
  kInteger,   // low to high
  kNumber,    // within `range`
  kPair,      // two numbers, each within `range`
  kBool,      // true | false
  kWord,      // one of `words`
  kWordList,  // any of `words`, each once
  kText,      // as written, not empty
  kPath,      // a text; ${NAME} and ~/ are expanded
  kTextList,  // texts, not empty
  kListen,    // off | 127.0.0.1:PORT | unix:PATH
};

struct NumberRange {
  double low = 0;
  double high = std::numeric_limits<double>::infinity();
  bool low_counts = true;
  bool high_counts = true;
};

// What a key of the configuration may hold.
struct KeySpec {
  std::string path;  // "run.seed"
  ValueKind kind = ValueKind::kText;
  std::int64_t low = 0;
  std::int64_t high = 0;
  NumberRange range = {};
  std::vector<std::string> words = {};
};

// Every key that there is. Their defaults are the initial values in common/config.h.
const std::vector<KeySpec>& key_specs();

const KeySpec* find_key(std::string_view path);
bool is_section(std::string_view path);  // "run", "checkpoint.keep_best"

// Names of the keys and sections directly in `section` ("": the top level), sorted.
std::vector<std::string> names_in(const std::string& section);

// The paths of all keys and sections with this last name: "interval" -> "checkpoint.interval", ...
std::vector<std::string> paths_named(std::string_view name);

}  // namespace lockstep
