#include "coordinator/config_hints.h"

#include <algorithm>
#include <numeric>

#include "coordinator/config_foreign.h"
#include "coordinator/config_schema.h"
#include "coordinator/config_synonyms.h"
#include "coordinator/config_text.h"

namespace lockstep {
namespace {

constexpr std::size_t kLongestName = 40;

// Insertions, deletions, replacements and swaps of neighbours.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last;
  std::vector<std::size_t> last(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::vector<std::size_t> row(b.size() + 1);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t other = a[i - 1] == b[j - 1] ? 0 : 1;
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + other});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before_last[j - 2] + 1);
      }
    }
    before_last = std::move(last);
    last = std::move(row);
  }
  return last[b.size()];
}

std::string in_quotes(std::string_view text) {
  return "'" + printable(text) + "'";
}

// The nearest word that is at most `most` changes away, or "".
std::string nearest_within(std::string_view text, const std::vector<std::string>& words,
                           std::size_t most) {
  if (text.size() > kLongestName) return "";
  const std::string bare = bare_name(text);
  std::string best;
  std::size_t least = most + 1;
  for (const std::string& word : words) {
    const std::string other = bare_name(word);
    const std::size_t d = distance(bare, other);
    if (d < least && d < other.size()) {
      least = d;
      best = word;
    }
  }
  return best;
}

// As foreign_name wants it.
std::string value_text(const YamlNode& value) {
  return value.kind == YamlKind::kNull ? "null" : value.text;
}

// The first key below a node that has a name elsewhere: "NAME in it: here that is ...", or "".
std::string foreign_inside(const std::string& section, const YamlNode& node) {
  for (const YamlEntry& entry : node.entries) {
    if (auto inside = foreign_inside(entry.key, entry.value); !inside.empty()) return inside;
    const auto here = foreign_name(section, entry.key, value_text(entry.value));
    if (!here.empty()) return printable(entry.key) + " in it: here that is " + here;
  }
  for (const YamlNode& item : node.items)
    if (auto inside = foreign_inside(section, item); !inside.empty()) return inside;
  return "";
}

}  // namespace

std::string bare_name(std::string_view name) {
  std::string bare;
  for (const char c : name) {
    if (c == '-' || c == '_' || c == ' ') continue;
    bare += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return bare;
}

std::string nearest(std::string_view text, const std::vector<std::string>& words) {
  std::string near = nearest_within(text, words, std::max<std::size_t>(1, text.size() / 3));
  if (!near.empty() || text.size() < 3) return near;
  const std::string bare = bare_name(text);
  const auto longer = std::find_if(words.begin(), words.end(), [&](const std::string& word) {
    const std::string other = bare_name(word);
    if (other.size() < 3) return false;
    return other.starts_with(bare) || bare.starts_with(other) || bare == "sig" + other;
  });
  return longer == words.end() ? "" : *longer;
}

std::string unknown_key(const std::string& section, const YamlEntry& entry) {
  const std::string& key = entry.key;
  const std::string where = section.empty() ? "" : " in " + section;
  const std::string what = "unknown key " + in_quotes(key) + where + "; ";
  const std::vector<std::string> known = names_in(section);
  if (const std::string near = nearest_within(key, known, 1); !near.empty()) {
    return what + "did you mean " + near + "?";
  }
  if (const std::string inside = foreign_inside(key, entry.value); !inside.empty()) {
    return what + inside;
  }
  const std::string here = foreign_name(section, key, value_text(entry.value));
  if (!here.empty()) {
    return what + "here that is " + here;
  }
  const std::vector<std::string> elsewhere = paths_named(key);
  if (!elsewhere.empty()) return what + "did you mean " + alternatives(elsewhere) + "?";
  if (const std::string near = nearest(key, known); !near.empty()) {
    return what + "did you mean " + near + "?";
  }
  return what + "known here: " + alternatives(known);
}

std::string wrong_word(const std::string& path, const std::string& text,
                       const std::vector<std::string>& words) {
  std::string message = path + " is " + alternatives(words) + ", not " + in_quotes(text);
  const auto meant = meant_word(path, text);
  if (const std::string near = meant ? *meant : nearest(text, words); !near.empty()) {
    message += "; did you mean " + near + "?";
  }
  return message;
}

}  // namespace lockstep
