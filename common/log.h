#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/config.h"

namespace lockstep {

// Pure: control characters (escape sequences of a terminal, newlines, DEL, what turns the direction
// of text) written out as \xNN, so that text from outside can't forge or hide output.
std::string escape_controls(std::string_view text);

// Pure: JSON text of a number, for Log::Fields; null where it is not finite.
std::string json_number(double value);

// Where a process says what it does: lines on stderr, for people or (log.format: json) one JSON
// object a line for machines. One for each process, passed by reference; safe from any thread.
class Log {
 public:
  // A fact beside the message, for machines: {name, JSON text of its value}. Text format leaves
  // them out, the message says what people need.
  using Fields = std::vector<std::pair<std::string, std::string>>;

  // Prints nothing at all where `prints` is false: all ranks but 0.
  Log(const LogConfig& config, bool prints);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  void debug(std::string_view message) const;
  void info(std::string_view message, const Fields& fields = {}) const;
  void warning(std::string_view message, const Fields& fields = {}) const;
  void error(std::string_view message, const Fields& fields = {}) const;

  // True where people look on: text format, info shown, stderr is a terminal. Then bar() replaces
  // the terminal's last line, until the next message takes its place; "" removes it.
  bool has_bar() const;
  void bar(std::string_view line) const;

 private:
  struct Sink;
  std::unique_ptr<Sink> sink_;
};

// A message as log.format: json has it, with the time now: one object, without the newline.
std::string json_line(std::string_view level, std::string_view message,
                      const Log::Fields& fields = {});

}  // namespace lockstep
