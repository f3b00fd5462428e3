#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lockstep {

// What is wrong with a word of a command line, and what to write instead.
struct WordHint {
  std::string cause;   // "": every word is known
  std::string advice;  // "": none but the help text
};

// Pure: of the first of `words` that is an option, but none of `known` ("--set", ...). Where --set
// is among those, names of keys and what other programs call them are known, too: "--restore",
// "latest" -> "write --set restore=latest"; and so is `restore=latest` alone.
WordHint hint_at(const std::vector<std::string>& words, const std::vector<std::string>& known);

// Pure: "; did you mean '--json'?", or "".
std::string did_you_mean(const std::string& given, const std::vector<std::string>& words);

}  // namespace lockstep
