#include "common/sealed_json.h"

#include <algorithm>
#include <optional>

#include "common/digest.h"
#include "common/json_members.h"
#include "common/json_writing.h"
#include "common/strict_json.h"

namespace lockstep {
namespace {

using nlohmann::json;

constexpr const char* kDigestKey = "digest";

// Where the string that begins at `at` ends: behind its closing quote.
std::size_t end_of_string(std::string_view text, std::size_t at) {
  for (auto end = text.find('"', at + 1);; end = text.find('"', end + 1)) {
    auto escape = end;
    while (text[escape - 1] == '\\')
      --escape;
    if ((end - escape) % 2 == 0) return end + 1;
  }
}

// The text of a member of the outermost object: `line` is valid JSON without white space.
std::string_view text_of_member(std::string_view line, std::string_view key) {
  const auto wanted = "\"" + std::string(key) + "\":";
  std::size_t begin = 0;  // of the wanted value; 0: not met yet
  int depth = 0;
  for (std::size_t at = 0; at < line.size();) {
    const char c = line[at];
    const bool ends = depth == 1 && (c == ',' || c == '}');
    if (begin > 0 && ends) return line.substr(begin, at - begin);
    if (c == '"') {
      if (depth == 1 && begin == 0 && line.substr(at).starts_with(wanted))
        begin = at + wanted.size();
      at = end_of_string(line, at);
      continue;
    }
    depth += c == '{' || c == '[' ? 1 : c == '}' || c == ']' ? -1 : 0;
    ++at;
  }
  return {};
}

// The sealed line without its digest, told by the text alone: to write thousands of records anew
// cost more than half of a decision. An inner member of the same key has another value, since
// nothing can hold its own hash.
// nullopt: the member is not written as seal does.
std::optional<std::string> without_digest(std::string_view line, const std::string& digest) {
  const std::string member = std::string("\"") + kDigestKey + "\":\"" + digest + "\"";
  const auto at = line.find(member);
  if (at == std::string_view::npos) return std::nullopt;
  auto before = line.substr(0, at);
  auto behind = line.substr(at + member.size());
  // One comma goes with it: that behind it, or where it is the last that before it.
  if (behind.starts_with(',')) {
    behind.remove_prefix(1);
  } else if (before.ends_with(',')) {
    before.remove_suffix(1);
  }
  return std::string(before) + std::string(behind);
}

}  // namespace

std::string seal(json object, std::span<const ReadyMember> ready) {
  object[kDigestKey] = nullptr;
  for (const auto& member : ready)
    object[member.key] = nullptr;
  std::string line = "{";  // without the digest
  std::size_t digest_at = 1;
  for (const auto& [key, value] : object.items()) {
    if (key == kDigestKey) {
      digest_at = line.size();
      continue;
    }
    if (line.size() > 1) line += ',';
    line += dump_json(key) + ':';
    const auto member = std::ranges::find(ready, key, &ReadyMember::key);
    line += member == ready.end() ? dump_json(value) : member->text;
  }
  line += '}';
  auto digest = std::string("\"") + kDigestKey + "\":\"" + digest128(line) + "\"";
  if (digest_at > 1)
    digest.insert(0, 1, ',');
  else if (line != "{}")
    digest += ',';
  line.insert(digest_at, digest);
  return line + '\n';
}

json unseal(std::string_view text, std::string_view what, std::string_view opaque) {
  json object = parse_strict_json(text, what, kMaxDepth, opaque);
  const auto digest = text_member(object, kDigestKey, what);
  if (!is_hex(digest)) throw_damaged(what, std::string(kDigestKey) + " is no digest");
  const auto digested =
      text.ends_with('\n') ? without_digest(text.substr(0, text.size() - 1), digest) : std::nullopt;
  if (!digested || digest128(*digested) != digest)
    throw_damaged(what, "its digest does not fit its contents");
  if (!opaque.empty() && object.contains(opaque))
    object[std::string(opaque)] = text_of_member(text, opaque);
  object.erase(kDigestKey);
  return object;
}

void for_each_element(const json& object, const char* opaque, std::string_view what,
                      const std::function<void(const json&)>& each) {
  const auto text = text_member(object, opaque, what);
  if (!text.starts_with('[')) throw_damaged(what, std::string(opaque) + " is no list");
  constexpr int kDepthOfElements = 2;
  for_each_in_list(text, what, kDepthOfElements, each);
}

}  // namespace lockstep
