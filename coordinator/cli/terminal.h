#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace lockstep::cli {

enum class Colour : std::uint8_t { kNone, kGreen, kRed, kYellow, kDim };

// What an output goes to. As it is here: a pipe or a file, where all is plain and whole.
struct Screen {
  bool addressable = false;  // a terminal on which a picture can be drawn in place
  bool colour = false;
  bool unicode = false;
  std::size_t columns = 0;  // 0: no end
  std::size_t rows = 0;
};

// Local: of stdout. Colours but where NO_COLOR or TERM=dumb forbids them; Unicode where the locale
// has UTF-8 and `ascii` does not forbid it; columns as the terminal has them, else COLUMNS.
Screen screen_of_stdout(bool ascii = false);

// Pure: text with the escape codes of a colour around it.
std::string painted(const std::string& text, Colour colour);

}  // namespace lockstep::cli
