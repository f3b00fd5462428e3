#pragma once

#include <cstddef>
#include <string>

#include "coordinator/config_text.h"

namespace lockstep {

// Fails with our words for an error of the YAML library at `offset`. `library_text`: its own text,
// recognised and never shown. `opener`: offset of the innermost bracket that is open, or npos.
[[noreturn]] void fail_syntax(const SourceText& source, std::size_t offset,
                              const std::string& library_text, std::size_t opener);

// Fails on an alias, anchor or tag at `offset`: a text that begins with *, & or ! needs quotes.
[[noreturn]] void fail_indicator(const SourceText& source, std::size_t offset);

}  // namespace lockstep
