#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "coordinator/config_text.h"

namespace lockstep {

enum class YamlKind { kNull, kScalar, kSequence, kMapping };

struct YamlEntry;

// A YAML value as written: nothing is resolved, so `010` is still the text "010".
struct YamlNode {
  YamlKind kind = YamlKind::kNull;
  bool quoted = false;  // a scalar in quotes, or a block of text
  std::string text;     // of a scalar
  Place place;
  std::vector<YamlNode> items;     // of a sequence
  std::vector<YamlEntry> entries;  // of a mapping, keys distinct
};

struct YamlEntry {
  std::string key;
  Place place;  // the key's
  YamlNode value;
};

// Pure: the first entry with this key, or nullptr.
const YamlNode* find(const YamlNode& mapping, std::string_view key);
YamlNode* find(YamlNode& mapping, std::string_view key);

// Pure: one YAML document as a tree, built from the parser's events: no library's node ever exists,
// so aliases cannot multiply or nest in themselves. Fails, Error(kInvalidConfig), on bad syntax,
// anchors, aliases, tags, merge keys, duplicate keys, keys that are not plain texts, several
// documents, more than 10'000 nodes, nesting deeper than 16, bytes that are not UTF-8, control
// characters. A text without a value gives kNull.
// name: what places are named after; with has_lines as NAME:LINE:COLUMN.
YamlNode parse_yaml(std::string_view text, std::string_view name, bool has_lines);

}  // namespace lockstep
