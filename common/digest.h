#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace lockstep {

// XXH3 (xxhash): detects damage, not malice.

std::uint64_t checksum64(std::span<const std::byte> bytes);  // XXH3_64bits

struct Hash128 {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend bool operator==(const Hash128&, const Hash128&) = default;
};
Hash128 hash128(std::string_view text);  // XXH3_128bits

std::string digest128(std::span<const std::byte> bytes);  // hash128 as 32 hex digits
std::string digest128(std::string_view text);
std::string hex64(std::uint64_t value);  // 16 lower-case hex digits
std::optional<std::uint64_t> parse_hex64(
    std::string_view text);          // exactly 16 lower-case hex digits
bool is_hex(std::string_view text);  // lower-case hex digits, at least one, and nothing else

// XXH3_64bits over bytes that come in pieces.
class Checksum {
 public:
  Checksum();
  ~Checksum();
  Checksum(const Checksum&) = delete;
  Checksum& operator=(const Checksum&) = delete;
  void add(std::span<const std::byte> bytes);
  std::uint64_t value() const;
  void reset();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lockstep
