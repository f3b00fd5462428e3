#include "coordinator/cli/top_picture.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <utility>

#include "common/log.h"
#include "coordinator/amounts.h"
#include "coordinator/cli/sparkline.h"
#include "coordinator/cli/table.h"
#include "coordinator/cli/text_width.h"

namespace lockstep::cli {

namespace {

constexpr std::size_t kLabelColumns = 13;  // "newest", "abandoned", and two blanks
constexpr std::size_t kUsualColumns = 80;  // for pictures, where the screen has no end
constexpr std::size_t kUsualEvents = 10;

std::string number_text(const char* format, double number) {
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), format, number);
  return text.data();
}

std::string ago(std::int64_t now_s, std::int64_t then_s) {
  return age_text(now_s - then_s) + " ago";
}

// What a number of iterations takes; "" where the rate is not known.
std::string in_time(const TopFacts& facts, std::int64_t iterations) {
  if (!facts.iterations_per_second || *facts.iterations_per_second <= 0) return "";
  return duration_text(static_cast<double>(iterations) / *facts.iterations_per_second);
}

// Columns for a picture beside text in the second column.
std::size_t room_beside(const std::string& text, const Screen& screen) {
  constexpr std::size_t kMost = 40;
  const auto columns = screen.columns > 0 ? screen.columns : kUsualColumns;
  const auto taken = kLabelColumns + width_of(text) + 2;
  return columns > taken ? std::min(columns - taken, kMost) : 0;
}

void add(std::vector<Row>& rows, const char* label, Cell cell) {
  rows.push_back({{label, Colour::kDim}, std::move(cell)});
}

void add_iteration(std::vector<Row>& rows, const TopFacts& facts, const Screen& screen) {
  if (!facts.iteration) return;
  auto text = std::to_string(*facts.iteration);
  if (facts.final_iteration && *facts.final_iteration > 0) {
    const double part =
        static_cast<double>(*facts.iteration) / static_cast<double>(*facts.final_iteration);
    text += " of " + std::to_string(*facts.final_iteration) +
            number_text("  %.0f %%", 100 * std::min(part, 1.0));
    const auto room = room_beside(text, screen);
    if (room > 4) text += "  " + bar(part, room, screen.unicode);
  }
  add(rows, "iteration", text);
}

// Longer than iterations and heartbeats are apart; a save or an evaluation may be the cause, too.
bool stands_still(const TopFacts& facts) {
  constexpr double kShortest = 15;
  constexpr double kIterations = 3;
  const auto rate = facts.iterations_per_second.value_or(0);
  return facts.alive && facts.iteration &&
         facts.still_s >= std::max(kShortest, rate > 0 ? kIterations / rate : 0);
}

void add_rate(std::vector<Row>& rows, const TopFacts& facts) {
  if (stands_still(facts)) {
    add(rows, "rate", {"no new iteration for " + duration_text(facts.still_s), Colour::kYellow});
    return;
  }
  if (!facts.iterations_per_second) return;
  auto text = number_text("%.3g iterations/s", *facts.iterations_per_second);
  if (facts.samples_per_second > 0)
    text += number_text(", %.0f samples/s", facts.samples_per_second);
  if (facts.alive && facts.iteration && facts.final_iteration)
    text += "; " +
            in_time(facts, std::max<std::int64_t>(*facts.final_iteration - *facts.iteration, 0)) +
            " left";
  add(rows, "rate", text);
}

void add_curve(std::vector<Row>& rows, const char* label, const std::vector<double>& numbers,
               const Screen& screen) {
  if (numbers.empty()) return;
  auto text = number_text("%-8.4g", numbers.back());
  const auto room = room_beside(text, screen);
  add(rows, label, text + "  " + sparkline(numbers, room, screen.unicode));
}

std::string evaluation_text(const EvaluationPoint& evaluation) {
  std::string text;
  for (const auto& [name, value] : evaluation.metrics)
    text += (text.empty() ? "" : ", ") + name + " " + number_text("%.4g", value);
  return text + " at " + std::to_string(evaluation.iteration);
}

// "compute 88 %, data 9 %": the greatest first.
std::string split_text(const TimeSplit& spent) {
  std::vector<std::pair<double, std::string>> parts;
  double all = 0;
  for_each_part(spent, [&](const char* name, double seconds) {
    parts.emplace_back(seconds, name);
    all += seconds;
  });
  std::ranges::stable_sort(parts, [](const auto& a, const auto& b) { return a.first > b.first; });
  std::string text;
  for (const auto& [seconds, name] : parts)
    if (const double percent = 100 * seconds / all; percent >= 1)
      text += (text.empty() ? "" : ", ") + name + number_text(" %.0f %%", percent);
  return text;
}

void add_checkpoints(std::vector<Row>& rows, const TopFacts& facts) {
  auto text = facts.newest ? to_text(facts.newest->id) : "none yet";
  if (facts.newest && facts.newest->created_s)
    text += ", " + ago(facts.now_s, *facts.newest->created_s);
  if (facts.newest && facts.newest->bytes > 0) text += ", " + bytes_text(facts.newest->bytes);
  add(rows, "committed", text);
  if (!facts.alive) return;
  if (facts.next_save && facts.iteration) {
    const auto time =
        in_time(facts, std::max<std::int64_t>(facts.next_save->iteration - *facts.iteration, 0));
    add(rows, "next save",
        "iteration " + std::to_string(facts.next_save->iteration) +
            (time.empty() ? "" : ", in " + time) + or_earlier_text(*facts.next_save));
  }
  if (facts.deadline_s) {
    const auto left_s = static_cast<double>(*facts.deadline_s - facts.now_s);
    add(rows, "deadline", {left_s > 0 ? "in " + duration_text(left_s) : "past", Colour::kNone});
  }
}

void add_space(std::vector<Row>& rows, const TopFacts& facts) {
  add(rows, "free space", facts.free_bytes ? bytes_text(*facts.free_bytes) : "?");
  if (facts.abandoned == 0) return;
  add(rows, "abandoned",
      count_text(facts.abandoned, "checkpoint") + ", " +
          (facts.abandoned_known ? "" : "at least ") + bytes_text(facts.abandoned_bytes));
}

std::vector<Row> rows_of(const TopFacts& facts, const Screen& screen) {
  std::vector<Row> rows;
  if (!facts.trouble.empty()) add(rows, "trouble", {facts.trouble, Colour::kRed});
  add(rows, "state", {facts.state, facts.alive ? Colour::kGreen : Colour::kYellow});
  if (!facts.attempt.empty()) add(rows, "attempt", facts.attempt);
  if (!facts.started.empty())
    add(rows, "started",
        facts.started + (facts.started_s ? ", " + ago(facts.now_s, *facts.started_s) : ""));
  add_iteration(rows, facts, screen);
  add_rate(rows, facts);
  add_curve(rows, "loss", facts.losses, screen);
  add_curve(rows, "accuracy", facts.accuracies, screen);
  if (facts.evaluation) add(rows, "evaluated", evaluation_text(*facts.evaluation));
  if (const auto split = split_text(facts.spent); !split.empty()) add(rows, "time", split);
  add_checkpoints(rows, facts);
  add_space(rows, facts);
  // All labels as wide as the widest that there may be: nothing moves when a row comes or goes.
  rows.front().front().text.resize(kLabelColumns - 2, ' ');
  return rows;
}

std::vector<Row> rows_of(const std::vector<TopEvent>& events, std::int64_t now_s,
                         std::size_t most) {
  std::vector<Row> rows;
  for (std::size_t i = 0; i < std::min(events.size(), most); ++i)
    rows.push_back({{ago(now_s, events[i].time_s), Colour::kDim}, events[i].text});
  if (!rows.empty()) {
    auto& first = rows.front().front().text;
    first.resize(std::max(first.size(), kLabelColumns - 2), ' ');
  }
  return rows;
}

}  // namespace

std::string draw_top(const TopFacts& facts, const Screen& screen) {
  const auto title = std::string("lockstep top") + (screen.addressable ? ", q ends" : "") + "  " +
                     escape_controls(facts.store);
  auto picture = screen.columns > 0 ? cut_to(title, screen.columns, screen.unicode) : title;
  picture += "\n\n";
  const auto rows = rows_of(facts, screen);
  picture += table(rows, screen, TooLong::kIsCut);
  const std::size_t above = rows.size() + 3;
  const auto room = screen.rows == 0 ? kUsualEvents : screen.rows > above ? screen.rows - above : 0;
  const auto events = rows_of(facts.events, facts.now_s, room);
  if (!events.empty()) picture += "\n" + table(events, screen, TooLong::kIsCut);
  if (screen.rows == 0) return picture;
  std::size_t end = 0;
  for (std::size_t line = 0; line < screen.rows && end < picture.size(); ++line)
    end = picture.find('\n', end) + 1;
  return picture.substr(0, end);
}

}  // namespace lockstep::cli
