#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep {

// Where in a user's text something stands, as messages name it: "train.yaml:3:5", or
// "--set restore.iteration" for what came from the command line.
struct Place {
  std::string text;
  std::size_t line = 0;  // from 1; 0 where it has none
};

// Throws Error(kInvalidConfig): "PLACE: TEXT".
[[noreturn]] void fail(const Place& place, const std::string& text);

// Pure: `text` for a message: control characters and what is not UTF-8 as \xNN. printable shows
// about 60 bytes of it.
std::string escaped(std::string_view text);
std::string printable(std::string_view text);

// Pure: {"a", "b", "c"} -> "a, b or c".
std::string alternatives(const std::vector<std::string>& words);

// Pure: offset of the first byte that is not UTF-8 (overlong forms and surrogates count), or npos.
std::size_t invalid_utf8(std::string_view text);

// A text whose lines and columns are looked up. Views `text` and `name`.
class SourceText {
 public:
  // Columns are counted only where `has_lines`: else every place is just `name`.
  SourceText(std::string_view text, std::string_view name, bool has_lines);

  std::string_view text() const { return text_; }
  Place place(std::size_t offset) const;                // columns in characters, from 1
  std::size_t offset(int line, int byte_column) const;  // both from 0
  std::string_view line_of(std::size_t offset) const;   // without its end

  // Fails on what no configuration may hold: bytes that are not UTF-8, control characters.
  void check_characters() const;

 private:
  std::size_t line_index(std::size_t offset) const;

  std::string_view text_;
  std::string_view name_;
  bool has_lines_;
  std::vector<std::size_t> starts_;      // of lines
  std::vector<std::size_t> characters_;  // before each byte
};

}  // namespace lockstep
