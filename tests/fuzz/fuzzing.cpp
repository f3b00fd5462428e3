#include "tests/fuzz/fuzzing.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <new>

#include <malloc.h>

#include "common/digest.h"

namespace {

struct Count {
  bool on = false;
  std::int64_t now = 0;
  std::int64_t peak = 0;
  std::int64_t most = 0;
};
thread_local Count count;

void* counted(void* block) {
  if (!count.on || block == nullptr) return block;
  count.now += static_cast<std::int64_t>(malloc_usable_size(block));
  count.peak = std::max(count.peak, count.now);
  if (count.now > count.most) {
    count.on = false;
    lockstep::fuzz::finding("takes more memory than what is present allows");
  }
  return block;
}

void* allocate(std::size_t bytes) {
  // Beyond the limit before it is tried: a sanitizer ends the program itself where it is too much.
  if (count.on && bytes > static_cast<std::size_t>(count.most)) {
    count.on = false;
    lockstep::fuzz::finding("asks for " + std::to_string(bytes) + " bytes at once");
  }
  return counted(std::malloc(bytes == 0 ? 1 : bytes));
}

void* allocate_or_throw(std::size_t bytes) {
  void* const block = allocate(bytes);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

void release(void* block) noexcept {
  if (count.on && block != nullptr)
    count.now -= static_cast<std::int64_t>(malloc_usable_size(block));
  std::free(block);
}

}  // namespace

// The libraries' too: they find these in the program.
void* operator new(std::size_t bytes) {
  return allocate_or_throw(bytes);
}
void* operator new[](std::size_t bytes) {
  return allocate_or_throw(bytes);
}
void* operator new(std::size_t bytes, const std::nothrow_t& /*tag*/) noexcept {
  return allocate(bytes);
}
void* operator new[](std::size_t bytes, const std::nothrow_t& /*tag*/) noexcept {
  return allocate(bytes);
}
void operator delete(void* block) noexcept {
  release(block);
}
void operator delete[](void* block) noexcept {
  release(block);
}
void operator delete(void* block, std::size_t /*bytes*/) noexcept {
  release(block);
}
void operator delete[](void* block, std::size_t /*bytes*/) noexcept {
  release(block);
}
void operator delete(void* block, const std::nothrow_t& /*tag*/) noexcept {
  release(block);
}
void operator delete[](void* block, const std::nothrow_t& /*tag*/) noexcept {
  release(block);
}

namespace lockstep::fuzz {
namespace {

using nlohmann::json;

bool says(const json& written, const json& read) {
  if (read.is_object()) {
    if (!written.is_object()) return false;
    for (const auto& [key, value] : read.items()) {
      const auto place = written.find(key);
      if (place == written.end() || !says(*place, value)) return false;
    }
    return true;
  }
  if (!read.is_array()) return written == read;
  if (!written.is_array() || written.size() != read.size()) return false;
  for (std::size_t i = 0; i < read.size(); ++i) {
    if (!says(written[i], read[i])) return false;
  }
  return true;
}

}  // namespace

void finding(const std::string& what) {
  std::fprintf(stderr, "finding: %s\n", what.c_str());
  std::abort();
}

MemoryLimit::MemoryLimit(std::size_t most_bytes) {
  count = {.on = true, .now = 0, .peak = 0, .most = static_cast<std::int64_t>(most_bytes)};
}

bool MemoryLimit::has_taken() const {
  return count.peak > 0;
}

MemoryLimit::~MemoryLimit() {
  count.on = false;
}

std::optional<std::string> resealed(std::string_view text) {
  constexpr std::string_view kKey = R"("digest":")";
  constexpr std::size_t kDigits = 32;
  // The one that has the form of a digest: data have one of their own.
  for (auto at = text.find(kKey); at != std::string_view::npos; at = text.find(kKey, at + 1)) {
    const auto begin = at + kKey.size();
    const auto end = text.find('"', begin);
    if (end == std::string_view::npos) return std::nullopt;
    const bool inner = at < 2 || text.substr(at - 2, 2) == ":{" || !text.ends_with('\n');
    if (end - begin != kDigits || inner) continue;
    auto before = text.substr(0, at);
    auto behind = text.substr(end + 1, text.size() - end - 2);
    const bool comma_behind = behind.starts_with(',');
    const bool comma_before = !comma_behind && before.ends_with(',');
    const auto rest = std::string(before.substr(0, before.size() - (comma_before ? 1 : 0))) +
                      std::string(behind.substr(comma_behind ? 1 : 0));
    return std::string(text.substr(0, begin)) + digest128(rest) + std::string(text.substr(end));
  }
  return std::nullopt;
}

void require_said(std::string_view written, std::string_view read) {
  const auto before = json::parse(written, nullptr, false);
  auto now = json::parse(read, nullptr, false);
  require(!before.is_discarded() && !now.is_discarded(), "a record is taken that is no JSON");
  now.erase("digest");
  if (!says(before, now))
    finding("a record is read as something else: " + before.dump() + " as " + now.dump());
}

}  // namespace lockstep::fuzz
