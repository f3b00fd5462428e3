#pragma once

#include <cstdint>
#include <string>

namespace lockstep::cli {

enum class Colour : std::uint8_t { kNone, kGreen, kRed, kYellow, kDim };

// Local: whether stdout is a terminal that wants colours (NO_COLOR and TERM=dumb are honoured).
bool wants_colour();
// Local: whether stdout is a terminal that shows UTF-8.
bool shows_unicode();

// Pure: text with the escape codes of a colour around it.
std::string painted(const std::string& text, Colour colour);

}  // namespace lockstep::cli
