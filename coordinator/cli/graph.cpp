#include "coordinator/cli/graph.h"

#include <algorithm>

namespace lockstep::cli {

namespace {

// Lines that go down, left to right: which checkpoint each leads to; empty places are free.
using Lines = std::vector<std::optional<CheckpointId>>;

struct Signs {
  const char* good;
  const char* bad;
  const char* other;
  const char* line;
  const char* branch;  // where a line from the right arrives
  const char* across;
  const char* crossing;  // of a line that goes down
  const char* corner;
};
constexpr Signs kAscii = {"*", "x", "o", "|", "|", "_", "|", "/"};
constexpr Signs kUnicode = {"●", "×", "○", "│", "├", "─", "┼", "╯"};

// Where a checkpoint stands: on the line that leads to it, else in a place that is free. `ended`,
// the place of a line that ended in the row above, is left free: below it the checkpoint would look
// like the one before.
std::size_t place_for(Lines& lines, const CheckpointId& id, std::optional<std::size_t> ended) {
  auto at = std::ranges::find(lines, std::optional(id));
  if (at == lines.end())
    at = std::ranges::find_if(lines, [&](const std::optional<CheckpointId>& line) {
      return !line && &line != (ended ? &lines[*ended] : nullptr);
    });
  if (at == lines.end()) at = lines.insert(lines.end(), std::nullopt);
  *at = id;
  return static_cast<std::size_t>(at - lines.begin());
}

void trim(std::string& picture) {
  picture.erase(picture.find_last_not_of(' ') + 1);
}

const char* sign_of(Mark mark, const Signs& signs) {
  if (mark == Mark::kGood) return signs.good;
  return mark == Mark::kBad ? signs.bad : signs.other;
}

std::string node_picture(const Lines& lines, std::size_t at, const char* sign, const Signs& signs) {
  std::string picture;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    picture += i == at ? sign : lines[i] ? signs.line : " ";
    picture += ' ';
  }
  trim(picture);
  return picture;
}

// The line at `from` joins that at `to`, left of it. In ASCII the corner leans into the gap before
// its line, in Unicode it takes the line's own place.
std::string join_picture(const Lines& lines, std::size_t to, std::size_t from, bool unicode) {
  const auto& signs = unicode ? kUnicode : kAscii;
  std::string picture;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const bool between = i > to && i < from;
    if (i == from) {
      picture += unicode ? signs.corner : " ";
    } else if (i == to) {
      picture += signs.branch;
    } else if (between) {
      picture += lines[i] ? signs.crossing : signs.across;
    } else {
      picture += lines[i] ? signs.line : " ";
    }
    const bool last_gap = !unicode && i + 1 == from;
    picture += last_gap ? signs.corner : i >= to && i < from ? signs.across : " ";
  }
  trim(picture);
  return picture;
}

// Lines that lead to the same checkpoint join the leftmost, before it is drawn.
void join_lines(std::vector<GraphRow>& rows, Lines& lines, const CheckpointId& id, bool unicode) {
  const auto first = std::ranges::find(lines, std::optional(id));
  if (first == lines.end()) return;
  const auto to = static_cast<std::size_t>(first - lines.begin());
  for (auto from = to + 1; from < lines.size(); ++from) {
    if (lines[from] != id) continue;
    rows.push_back({join_picture(lines, to, from, unicode), std::nullopt});
    lines[from].reset();
  }
}

}  // namespace

std::vector<GraphRow> draw_graph(std::span<const GraphNode> nodes, bool unicode) {
  const auto& signs = unicode ? kUnicode : kAscii;
  std::vector<GraphRow> rows;
  Lines lines;
  std::optional<std::size_t> ended;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    join_lines(rows, lines, nodes[i].id, unicode);
    const auto at = place_for(lines, nodes[i].id, ended);
    rows.push_back({node_picture(lines, at, sign_of(nodes[i].mark, signs), signs), i});
    lines[at] = nodes[i].previous;
    ended = nodes[i].previous ? std::nullopt : std::optional(at);
    while (!lines.empty() && !lines.back() && lines.size() - 1 != ended)
      lines.pop_back();
  }
  return rows;
}

}  // namespace lockstep::cli
