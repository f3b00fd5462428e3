#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lockstep {

// Pure: the word of a key that `text` stands for, though it is spelled otherwise: "gpu" of `device`
// is "cuda". "": none of the key's words is meant, however near one is ("tpu" is not "cpu").
// nullopt: not known.
std::optional<std::string> meant_word(std::string_view path, std::string_view text);

}  // namespace lockstep
