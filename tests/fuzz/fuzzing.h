#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "common/error.h"

// What every target calls: clang's libFuzzer, or corpus_main.cpp where there is none.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace lockstep::fuzz {

// A parser has broken its promise: says so and aborts.
[[noreturn]] void finding(const std::string& what);
inline void require(bool holds, const char* what) {
  if (!holds) finding(what);
}

// While it lives all that operator new gives to this thread is counted; more at a time than
// `most_bytes` is a finding. Not 0: what says of a crash needs some itself.
class MemoryLimit {
 public:
  explicit MemoryLimit(std::size_t most_bytes);
  ~MemoryLimit();
  bool has_taken() const;
  MemoryLimit(const MemoryLimit&) = delete;
  MemoryLimit& operator=(const MemoryLimit&) = delete;
  MemoryLimit(MemoryLimit&&) = delete;
  MemoryLimit& operator=(MemoryLimit&&) = delete;
};

// A small multiple of the bytes present, which JSON's shortest values ("{}," is a tree's node)
// need, and what the libraries take for the least text.
constexpr std::size_t memory_for(std::size_t bytes) {
  constexpr std::size_t kFactor = 64;
  constexpr std::size_t kLeast = std::size_t{64} << 10;
  return kFactor * bytes + kLeast;
}

constexpr std::string_view kWhat = "the text";

// What `parse` makes of a text; nullopt where it refuses it as it promises to: by an Error of
// `code` whose text begins with `what`. All else that it throws is a finding.
template <typename Parse>
auto accepted(ErrorCode code, std::size_t most_bytes, Parse&& parse, std::string_view what = kWhat)
    -> std::optional<decltype(parse())> {
  try {
    const MemoryLimit limit(most_bytes);
    return parse();
  } catch (const Error& e) {
    if (e.code() != code)
      finding("an Error of code " + std::to_string(static_cast<int>(e.code())) + ": " + e.what());
    if (!std::string_view(e.what()).starts_with(what))
      finding(std::string("an Error that does not say of what: ") + e.what());
  } catch (const std::exception& e) {
    finding(std::string("another exception than Error: ") + e.what());
  }
  return std::nullopt;
}

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// A sealed record whose digest is made right again, so that changes get behind that check; nothing
// else of the text changes. nullopt: it has none that can be found.
std::optional<std::string> resealed(std::string_view text);

// All that `read` (a record that was parsed and written again) says stands in `written`, the text
// that was parsed. `written` may say more: unknown members are ignored.
void require_said(std::string_view written, std::string_view read);

// No bit of a sealed record can change unseen: tries some.
template <typename IsAccepted>
void require_sealed(std::string_view text, IsAccepted&& is_accepted) {
  constexpr std::size_t kTries = 16;
  std::string changed(text);
  for (std::size_t i = 0; i < kTries; ++i) {
    const std::size_t at = (text.size() - 1) * i / (kTries - 1);
    const char bit = static_cast<char>(1U << (text.size() % 7));
    changed[at] = static_cast<char>(changed[at] ^ bit);
    require(!is_accepted(std::string_view(changed)), "a record is taken with another digest");
    changed[at] = text[at];
  }
}

}  // namespace lockstep::fuzz
