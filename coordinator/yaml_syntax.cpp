#include "coordinator/yaml_syntax.h"

#include <algorithm>
#include <array>
#include <string_view>

#include <yaml-cpp/exceptions.h>

namespace lockstep {
namespace {

namespace Lib = YAML::ErrorMsg;

constexpr const char* kUnfit =
    "this does not fit here; check the indentation, the quotes and the line above";

struct Translation {
  const char* library;
  const char* ours;
};

// By the beginning of the library's text.
const std::array translations{
    Translation{Lib::TAB_IN_INDENTATION, "a tab in the indentation; use spaces"},
    Translation{Lib::EOF_IN_SCALAR, "a quote is opened and never closed"},
    Translation{Lib::DOC_IN_SCALAR,
                "a line of --- or ... within quotes; is a quote missing above?"},
    Translation{Lib::FLOW_END, "a closing bracket that nothing opened"},
    Translation{
        Lib::MAP_VALUE,
        "a ':' that is not expected here; a text with ': ' in it needs quotes, and a nested "
        "key its own, indented line"},
    Translation{Lib::INVALID_ESCAPE,
                R"(an escape that is not known in "..."; write \\ for a backslash)"},
    Translation{Lib::INVALID_HEX, "an escape with a bad number; write the character itself"},
    Translation{Lib::INVALID_UNICODE, "an escape that is no character; write the character itself"},
    Translation{Lib::BAD_FILE, "nested too deep; a configuration has at most 16 levels"},
    Translation{Lib::YAML_DIRECTIVE_ARGS, "a line with % in front; leave it out"},
    Translation{Lib::YAML_VERSION, "a line with % in front; leave it out"},
    Translation{Lib::YAML_MAJOR_VERSION, "a line with % in front; leave it out"},
    Translation{Lib::REPEATED_YAML_DIRECTIVE, "a line with % in front; leave it out"},
    Translation{Lib::TAG_DIRECTIVE_ARGS, "a line with % in front; leave it out"},
    Translation{Lib::REPEATED_TAG_DIRECTIVE, "a line with % in front; leave it out"},
    Translation{Lib::ZERO_INDENT_IN_BLOCK, "a block of text that is not indented"},
    Translation{Lib::CHAR_IN_BLOCK, "a block of text; write it on one line, in quotes"},
};

const std::array indicators{
    Lib::CHAR_IN_TAG_HANDLE, Lib::TAG_WITH_NO_SUFFIX, Lib::END_OF_VERBATIM_TAG,
    Lib::MULTIPLE_TAGS,      Lib::MULTIPLE_ANCHORS,   Lib::MULTIPLE_ALIASES,
    Lib::ALIAS_CONTENT,      Lib::ALIAS_NOT_FOUND,    Lib::ANCHOR_NOT_FOUND,
    Lib::CHAR_IN_ALIAS,      Lib::CHAR_IN_ANCHOR,     Lib::AMBIGUOUS_ANCHOR,
    Lib::UNKNOWN_ANCHOR,
};

bool is_one_of(const std::string& text, const char* a, const char* b) {
  return text == a || text == b;
}

// Whether the bracket at `opener` has its partner.
bool is_closed(std::string_view text, std::size_t opener) {
  int depth = 0;
  for (std::size_t i = opener; i < text.size(); ++i) {
    const char c = text[i];
    const bool begins = i > 0 && std::string_view(" \t\n,:[{").find(text[i - 1]) != text.npos;
    if (begins && (c == '"' || c == '\'')) {
      do {
        i += text[i] == '\\' && c == '"' ? 2 : 1;
      } while (i < text.size() && text[i] != c);
    } else if (begins && c == '#') {
      i = std::min(text.find('\n', i), text.size());
    } else if (c == '[' || c == '{') {
      ++depth;
    } else if (c == ']' || c == '}') {
      if (--depth == 0) return true;
    }
  }
  return false;
}

// "  seed:1" -> the offset of the colon within the line; npos where the line is not of that form.
std::size_t colon_without_space(std::string_view line) {
  const std::size_t begin = line.find_first_not_of(' ');
  if (begin == std::string_view::npos) return std::string_view::npos;
  constexpr std::string_view kWord =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
  const std::size_t colon = line.find_first_not_of(kWord, begin);
  if (colon == begin || colon >= line.size() || line[colon] != ':') return std::string_view::npos;
  if (colon + 1 >= line.size() || line[colon + 1] == ' ' || line[colon + 1] == '\t')
    return std::string_view::npos;
  return colon;
}

// The library notices a missing space after a colon only later, up to a line.
void fail_on_missing_space(const SourceText& source, std::size_t offset) {
  const std::string_view here = source.line_of(offset);
  const auto begin = static_cast<std::size_t>(here.data() - source.text().data());
  for (const std::string_view line : {here, source.line_of(begin == 0 ? 0 : begin - 1)}) {
    const std::size_t colon = colon_without_space(line);
    if (colon == std::string_view::npos) continue;
    const auto at = static_cast<std::size_t>(line.data() - source.text().data()) + colon;
    fail(source.place(at), "a space is missing after the ':'");
  }
}

void fail_on_tab(const SourceText& source, std::size_t offset) {
  const std::string_view line = source.line_of(offset);
  const std::size_t begin = line.find_first_not_of(" \t");
  const std::size_t tab = line.substr(0, begin).find('\t');
  if (tab == std::string_view::npos) return;
  const auto at = static_cast<std::size_t>(line.data() - source.text().data()) + tab;
  fail(source.place(at), "a tab in the indentation; use spaces");
}

}  // namespace

void fail_indicator(const SourceText& source, std::size_t offset) {
  // The library may report a place within the name: go back to its sign.
  const std::string_view text = source.text();
  std::size_t at = std::min(offset, text.size());
  while (at > 0 && at < text.size() && std::string_view("*&!").find(text[at]) == text.npos &&
         text[at] != '\n') {
    --at;
  }
  const char sign = at < text.size() ? text[at] : ' ';
  const std::string quotes = std::string("; a text that begins with '") + sign + "' needs quotes";
  if (sign == '*') fail(source.place(at), "aliases (*name) are not accepted" + quotes);
  if (sign == '&') fail(source.place(at), "anchors (&name) are not accepted" + quotes);
  if (sign == '!') fail(source.place(at), "tags (!name) are not accepted" + quotes);
  fail(source.place(offset), "anchors, aliases and tags are not accepted");
}

void fail_syntax(const SourceText& source, std::size_t offset, const std::string& library_text,
                 std::size_t opener) {
  for (const char* indicator : indicators) {
    if (library_text == indicator) fail_indicator(source, offset);
  }
  fail_on_tab(source, offset);
  if (is_one_of(library_text, Lib::END_OF_MAP_FLOW, Lib::END_OF_SEQ_FLOW)) {
    if (opener != std::string_view::npos && !is_closed(source.text(), opener)) {
      fail(source.place(opener),
           std::string("this '") + source.text()[opener] + "' is never closed");
    }
    fail(source.place(offset), "',' or a closing bracket is expected here");
  }
  if (library_text == Lib::UNKNOWN_TOKEN && offset < source.text().size()) {
    fail(source.place(offset),
         std::string("a text that begins with '") + source.text()[offset] + "' needs quotes");
  }
  if (library_text == Lib::MAP_VALUE || is_one_of(library_text, Lib::END_OF_MAP, Lib::END_OF_SEQ)) {
    fail_on_missing_space(source, offset);
  }
  if (library_text == Lib::FLOW_END && opener != std::string_view::npos) {
    const char open = source.text()[opener];
    const char wanted = open == '[' ? ']' : '}';
    if (offset < source.text().size() && source.text()[offset] != wanted) {
      fail(source.place(offset), std::string("the '") + open + "' before this is still open; a '" +
                                     wanted + "' is missing");
    }
  }
  if (library_text.find("escape") != std::string::npos || library_text == Lib::INVALID_HEX ||
      library_text.starts_with(Lib::INVALID_UNICODE)) {  // noticed behind the escape
    const std::size_t backslash = source.text().rfind('\\', offset);
    if (backslash != std::string_view::npos) offset = backslash;
  }
  for (const auto& [library, ours] : translations) {
    if (library_text.starts_with(library)) fail(source.place(offset), ours);
  }
  fail(source.place(offset), kUnfit);
}

}  // namespace lockstep
