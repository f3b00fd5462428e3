#pragma once

#include <string>
#include <string_view>

namespace lockstep {

// Local: makes `path` hold `text`, mode 0644, by renaming a hidden file beside it: who reads it
// finds the old text or the new one, whole, and what gathers *.prom files never sees a half-written
// one. Not synced: it is of no use after a crash. What is there and is no text of this kind, no
// regular file or one that does not begin with kTextFileMark, stays. Error(kIo, kInvalidConfig).
inline constexpr std::string_view kTextFileMark = "# HELP lockstep_";
void replace_text_file(const std::string& path, const std::string& text);
// Local: the same but for the renaming: `path` stays as it is.
void try_text_file(const std::string& path);

}  // namespace lockstep
