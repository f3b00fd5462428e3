#include "common/log.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <mutex>

#include <nlohmann/json.hpp>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

namespace lockstep {
namespace {

constexpr std::string_view kClearLine = "\r\x1b[K";

// stderr, with a line at its bottom that messages push down.
class StderrSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  void bar(std::string_view line) {
    const std::scoped_lock lock(mutex_);
    if (has_bar_ || !line.empty()) write(kClearLine);
    write(line);
    has_bar_ = !line.empty();
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t text;
    formatter_->format(message, text);
    if (has_bar_) write(kClearLine);
    has_bar_ = false;
    write({text.data(), text.size()});
  }
  void flush_() override {}  // stderr is not buffered

 private:
  static void write(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); }
  bool has_bar_ = false;
};

spdlog::level::level_enum level_of(const std::string& name) {
  if (name == "debug") return spdlog::level::debug;
  if (name == "warning") return spdlog::level::warn;
  if (name == "error") return spdlog::level::err;
  return spdlog::level::info;
}

std::string json_text(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// 2026-01-31T13:05:09.123+01:00
std::string local_time() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  std::tm parts{};
  ::localtime_r(&now.tv_sec, &parts);
  constexpr long kNanosecondsOfAMillisecond = 1'000'000;
  constexpr long kSecondsOfAMinute = 60;
  constexpr long kMinutesOfAnHour = 60;
  const auto minutes = std::labs(parts.tm_gmtoff) / kSecondsOfAMinute;
  std::array<char, 24> to_seconds{};
  std::strftime(to_seconds.data(), to_seconds.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%s.%03ld%c%02ld:%02ld", to_seconds.data(),
                now.tv_nsec / kNanosecondsOfAMillisecond, parts.tm_gmtoff < 0 ? '-' : '+',
                minutes / kMinutesOfAnHour, minutes % kMinutesOfAnHour);
  return text.data();
}

// Lines after the first are indented, so that no message can look like another one.
std::string as_text(std::string_view label, std::string_view message) {
  std::string text(label);
  while (true) {
    const auto end = message.find('\n');
    text += escape_controls(message.substr(0, end));
    if (end == std::string_view::npos) return text;
    text += "\n         ";
    message.remove_prefix(end + 1);
  }
}

}  // namespace

namespace {

// The bytes at the begin of `text` that a terminal obeys, or that turn the direction of what
// follows, so that a name reads as another one; 0: none.
std::size_t control_bytes(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const auto within = [](unsigned value, unsigned low, unsigned high) {
    return low <= value && value <= high;
  };
  if (byte(0) < 0x20 || byte(0) == 0x7f) return 1;
  if (byte(0) == 0xc2 && within(byte(1), 0x80, 0x9f)) return 2;  // U+0080 to U+009F
  if (byte(0) == 0xd8 && byte(1) == 0x9c) return 2;              // U+061C
  if (byte(0) != 0xe2) return 0;
  const bool marks = byte(1) == 0x80 && (within(byte(2), 0x8e, 0x8f) ||      // U+200E, U+200F
                                         within(byte(2), 0xaa, 0xae));       // U+202A to U+202E
  return marks || (byte(1) == 0x81 && within(byte(2), 0xa6, 0xa9)) ? 3 : 0;  // U+2066 to U+2069
}

}  // namespace

std::string escape_controls(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string safe;
  safe.reserve(text.size());
  while (!text.empty()) {
    const auto controls = control_bytes(text);
    for (const char c : text.substr(0, controls)) {
      const auto byte = static_cast<unsigned char>(c);
      safe += "\\x";
      safe += kHex[byte >> 4U];
      safe += kHex[byte & 15U];
    }
    if (controls == 0) safe += text.front();
    text.remove_prefix(std::max<std::size_t>(controls, 1));
  }
  return safe;
}

std::string json_number(double value) {
  return nlohmann::json(value).dump();
}

std::string json_line(std::string_view level, std::string_view message, const Log::Fields& fields) {
  std::string object = R"({"time":")" + local_time() + R"(","level":)" + json_text(level) +
                       R"(,"message":)" + json_text(message);
  for (const auto& [name, value] : fields)
    object += "," + json_text(name) + ":" + value;
  return object + "}";
}

struct Log::Sink {
  explicit Sink(const LogConfig& config)
      : json(config.json),
        stderr_sink(std::make_shared<StderrSink>()),
        logger("lockstep", stderr_sink),
        has_bar(!json && isatty(STDERR_FILENO) == 1) {
    logger.set_level(level_of(config.level));
    logger.set_pattern(json ? "%v" : "%H:%M:%S %v");
  }

  void write(spdlog::level::level_enum level, std::string_view name, std::string_view message,
             const Fields& fields) {
    if (!logger.should_log(level)) return;
    const bool plain = level == spdlog::level::info;
    const std::string text = json ? json_line(name, message, fields)
                                  : as_text(plain ? "" : std::string(name) + ": ", message);
    logger.log(level, spdlog::string_view_t(text.data(), text.size()));
  }

  bool json;
  std::shared_ptr<StderrSink> stderr_sink;
  spdlog::logger logger;
  bool has_bar;
};

Log::Log(const LogConfig& config, bool prints)
    : sink_(prints ? std::make_unique<Sink>(config) : nullptr) {}
Log::~Log() {
  if (sink_) sink_->stderr_sink->bar("");
}

void Log::debug(std::string_view message) const {
  if (sink_) sink_->write(spdlog::level::debug, "debug", message, {});
}
void Log::info(std::string_view message, const Fields& fields) const {
  if (sink_) sink_->write(spdlog::level::info, "info", message, fields);
}
void Log::warning(std::string_view message, const Fields& fields) const {
  if (sink_) sink_->write(spdlog::level::warn, "warning", message, fields);
}
void Log::error(std::string_view message, const Fields& fields) const {
  if (sink_) sink_->write(spdlog::level::err, "error", message, fields);
}

bool Log::has_bar() const {
  return sink_ && sink_->has_bar && sink_->logger.should_log(spdlog::level::info);
}
void Log::bar(std::string_view line) const {
  if (has_bar()) sink_->stderr_sink->bar(line);
}

}  // namespace lockstep
