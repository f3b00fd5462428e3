#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "coordinator/yaml_tree.h"

namespace lockstep {

// Pure: what to say of a key that does not exist in `section` ("": the top level): "unknown key
// 'keep_lst' in checkpoint; did you mean keep_last?". Names of other programs are known:
// "...; here that is checkpoint.keep_last", and of a section the first that it holds:
// "unknown key 'trainer'; max_steps in it: here that is run.max_iterations".
std::string unknown_key(const std::string& section, const YamlEntry& entry);

// Pure: the word that `text` was most likely meant to be, or "". Case, '-' and '_' do not count.
std::string nearest(std::string_view text, const std::vector<std::string>& words);

// Pure: what to say of a text that is none of the allowed ones: "precision is fp32 or bf16, not
// 'fp61'; did you mean fp16?".
std::string wrong_word(const std::string& path, const std::string& text,
                       const std::vector<std::string>& words);

}  // namespace lockstep
