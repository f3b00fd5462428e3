#pragma once

#include <string>
#include <string_view>

namespace lockstep {

// Pure: a name that other training programs give to a key, and what it is here: "ckpt_path" ->
// "restore: latest, or ...". "" for what is not known. `section` is where it was found, `value`
// what stands there, "" for a section: `resume: false` asks for the opposite of `resume: true`. A
// key with dots is a path from the top, as --set has it: its last name counts, too.
std::string foreign_name(const std::string& section, std::string_view key, std::string_view value);

// Pure: a name without '-', '_' and capitals, for comparing: "saveSteps" and "save-steps" are one.
std::string bare_name(std::string_view name);

// Pure: whether `wanted`, which bare_name gave, is one of `names`, which are separated by spaces.
bool has_name(std::string_view names, std::string_view wanted);

}  // namespace lockstep
