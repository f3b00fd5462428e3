#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace lockstep {

// Pure: "1 checkpoint", "2 checkpoints"; "1.4 GiB"; "1.23 GB/s"; "3 min" since so many seconds
// before or since an RFC 3339 time, "?" where it is none; "3 h 12 min", "12 min", "40 s", and "0 s"
// for less than nothing.
std::string count_text(std::size_t count, const std::string& what);
std::string bytes_text(std::uint64_t bytes);
std::string rate_text(std::uint64_t bytes, double seconds);
std::string age_text(std::int64_t seconds);
std::string age_text(const std::string& created);
std::string duration_text(double seconds);

// Pure: seconds since 1970 of "2026-01-31T13:05:09Z"; nullopt: it is no such text.
std::optional<std::int64_t> parse_utc(const std::string& text);

}  // namespace lockstep
