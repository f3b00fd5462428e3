#include "common/digest.h"

#include <charconv>
#include <new>

#include <xxhash.h>

#include "common/error.h"

namespace lockstep {
namespace {

constexpr std::size_t kHex64Digits = 16;

void check(XXH_errorcode rc) {
  if (rc != XXH_OK) throw Error(ErrorCode::kInternal, "xxhash refused its arguments");
}

}  // namespace

std::uint64_t checksum64(std::span<const std::byte> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

Hash128 hash128(std::string_view text) {
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  return {hash.high64, hash.low64};
}

std::string digest128(std::span<const std::byte> bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return hex64(hash.high64) + hex64(hash.low64);
}

std::string digest128(std::string_view text) {
  return digest128(std::as_bytes(std::span(text.data(), text.size())));
}

std::string hex64(std::uint64_t value) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text(kHex64Digits, '0');
  for (std::size_t i = kHex64Digits; i-- > 0; value >>= 4U)
    text[i] = kDigits[value & 15U];
  return text;
}

std::optional<std::uint64_t> parse_hex64(std::string_view text) {
  if (text.size() != kHex64Digits || !is_hex(text)) return std::nullopt;
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value, 16);
  return value;
}

bool is_hex(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

struct Checksum::State {
  State() : xxh3(XXH3_createState()) {
    if (xxh3 == nullptr) throw std::bad_alloc();
  }
  ~State() { XXH3_freeState(xxh3); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  XXH3_state_t* xxh3;
};

Checksum::Checksum() : state_(std::make_unique<State>()) {
  reset();
}

Checksum::~Checksum() = default;

void Checksum::add(std::span<const std::byte> bytes) {
  if (!bytes.empty()) check(XXH3_64bits_update(state_->xxh3, bytes.data(), bytes.size()));
}

std::uint64_t Checksum::value() const {
  return XXH3_64bits_digest(state_->xxh3);
}

void Checksum::reset() {
  check(XXH3_64bits_reset(state_->xxh3));
}

}  // namespace lockstep
