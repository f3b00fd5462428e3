#pragma once

#include <string>

namespace lockstep {

// Local: makes `path` hold `text`, mode 0644, by renaming a hidden file beside it: who reads it
// finds the old text or the new one, whole, and what gathers *.prom files never sees a half-written
// one. Not synced: it is of no use after a crash. Error(kIo).
void replace_text_file(const std::string& path, const std::string& text);

}  // namespace lockstep
