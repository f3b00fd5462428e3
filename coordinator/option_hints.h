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
// "latest" -> "write --set restore=latest"; and so is `restore=latest` alone, and
// "trainer.max_steps=10", "+resume=false".
WordHint hint_at(const std::vector<std::string>& words, const std::vector<std::string>& known);

// Pure: what the option parser says of a mistake, in our words: "CONFIG is required" -> "CONFIG is
// missing"; what is not known stays.
std::string in_our_words(const std::string& parser_text);

// Pure: "; did you mean '--json'?", or "".
std::string did_you_mean(const std::string& given, const std::vector<std::string>& words);

}  // namespace lockstep
