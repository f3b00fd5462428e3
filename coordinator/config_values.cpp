#include "coordinator/config_values.h"

#include <algorithm>
#include <iterator>

#include "common/config_json.h"
#include "coordinator/config_foreign.h"
#include "coordinator/config_hints.h"
#include "coordinator/config_numbers.h"
#include "coordinator/status/listen_address.h"

namespace lockstep {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kLongestText = 4096;
constexpr std::size_t kLongestList = 1000;

std::string quoted(const std::string& text) {
  return "'" + printable(text) + "'";
}

std::string shape(const YamlNode& node) {
  return node.kind == YamlKind::kSequence ? "a list" : "a section";
}

// A scalar, or an error that says what is wanted.
const std::string& scalar(const std::string& path, const YamlNode& node,
                          const std::string& wanted) {
  if (node.kind == YamlKind::kNull) fail(node.place, no_value(path));
  if (node.kind != YamlKind::kScalar)
    fail(node.place, path + " is " + wanted + ", not " + shape(node));
  return node.text;
}

// Where the default is none, as for optimizer.clip_norm.
bool may_be_none(const std::string& path) {
  Json all = to_json(Config{});
  Request request;
  request.present = true;
  all["restore"] = to_json(request);
  const auto pointer = key_pointer(path);
  return all.contains(pointer) && all.at(pointer).is_null();
}

[[noreturn]] void fail_number(const std::string& path, const YamlNode& node, bool integral) {
  const std::string wanted = integral ? "a whole number" : "a number";
  const std::string plain = plain_number(node.text, integral);
  if (node.quoted && !plain.empty()) {
    fail(node.place, path + " is " + wanted + "; write " + plain + " without quotes");
  }
  std::string text = path + " is " + wanted + " in plain decimals, not " + quoted(node.text);
  if (!plain.empty()) text += "; write " + plain;
  fail(node.place, text);
}

Json read_integer(const KeySpec& key, const YamlNode& node) {
  const std::string& text = scalar(key.path, node, "a whole number");
  const auto integer = node.quoted ? std::nullopt : parse_integer(text);
  if (!integer) fail_number(key.path, node, true);
  const bool negative = text.starts_with('-');
  if (integer->too_big ? negative : integer->value < key.low) {
    std::string message = key.path + " is at least " + std::to_string(key.low);
    message += ", not " + quoted(text);
    if (key.path == "restore.iteration") {
      message += "; for the newest write 'restore: latest'";
    } else if (may_be_none(key.path)) {
      message += "; for none leave the key out";
    }
    fail(node.place, message);
  }
  if (integer->too_big || integer->value > key.high) {
    fail(node.place,
         key.path + " is at most " + std::to_string(key.high) + ", not " + quoted(text));
  }
  return integer->value;
}

double read_number(const std::string& path, const NumberRange& range, const YamlNode& node) {
  const std::string& text = scalar(path, node, "a number");
  const auto value = node.quoted ? std::nullopt : parse_decimal(text);
  if (!value) fail_number(path, node, false);
  if (range.low_counts ? *value < range.low : *value <= range.low) {
    std::string message = path + (range.low_counts ? " is at least " : " is more than ");
    message += to_text(range.low) + ", not " + quoted(text);
    if (may_be_none(path)) message += "; for none leave the key out";
    fail(node.place, message);
  }
  if (range.high_counts ? *value > range.high : *value >= range.high) {
    fail(node.place, path + (range.high_counts ? " is at most " : " is less than ") +
                         to_text(range.high) + ", not " + quoted(text));
  }
  return *value;
}

Json read_bool(const KeySpec& key, const YamlNode& node) {
  const std::string& text = scalar(key.path, node, "true or false");
  if (!node.quoted && (text == "true" || text == "false")) return text == "true";
  const std::vector<std::string> yes{"true", "yes", "on", "y", "1"};
  const std::vector<std::string> no{"false", "no", "off", "n", "0"};
  std::string lower;
  std::transform(text.begin(), text.end(), std::back_inserter(lower), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  std::string message = key.path + " is true or false, not " + quoted(text);
  if (std::find(yes.begin(), yes.end(), lower) != yes.end()) message += "; write true";
  if (std::find(no.begin(), no.end(), lower) != no.end()) message += "; write false";
  fail(node.place, message + (node.quoted ? " without quotes" : ""));
}

std::string read_word(const KeySpec& key, const YamlNode& node) {
  const std::string& text = scalar(key.path, node, alternatives(key.words));
  if (std::find(key.words.begin(), key.words.end(), text) != key.words.end()) return text;
  fail(node.place, wrong_word(key.path, text, key.words));
}

std::string read_text(const std::string& path, const YamlNode& node) {
  const std::string& text = scalar(path, node, "a text");
  if (text.empty()) fail(node.place, path + " is an empty text; leave the key out");
  if (text.size() > kLongestText) fail(node.place, path + " is longer than 4096 bytes");
  const bool control = std::any_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (control) {
    fail(node.place, path + " holds a line end or control character: " + quoted(text));
  }
  return text;
}

// The items of a list; one value in place of a list is told how to write it.
const std::vector<YamlNode>& list_items(const std::string& path, const YamlNode& node) {
  if (node.kind == YamlKind::kNull) fail(node.place, no_value(path));
  if (node.kind == YamlKind::kScalar) {
    fail(node.place, path + " is a list; write [" + printable(node.text) + "]");
  }
  if (node.kind == YamlKind::kMapping) fail(node.place, path + " is a list, not a section");
  if (node.items.size() > kLongestList) fail(node.place, path + " has more than 1000 items");
  return node.items;
}

Json read_text_list(const KeySpec& key, const YamlNode& node) {
  Json list = Json::array();
  for (const YamlNode& item : list_items(key.path, node))
    list.push_back(read_text(key.path, item));
  return list;
}

Json read_word_list(const KeySpec& key, const YamlNode& node) {
  KeySpec one = key;
  one.path = "each of " + key.path;
  Json list = Json::array();
  for (const YamlNode& item : list_items(key.path, node)) {
    const std::string word = read_word(one, item);
    if (std::find(list.begin(), list.end(), word) != list.end()) {
      fail(item.place, key.path + " names " + word + " twice");
    }
    list.push_back(word);
  }
  return list;
}

Json read_pair(const KeySpec& key, const YamlNode& node) {
  if (node.kind == YamlKind::kScalar) {
    fail(node.place, key.path + " is a list of two numbers, as [0.9, 0.999]");
  }
  const std::vector<YamlNode>& items = list_items(key.path, node);
  if (items.size() != 2) {
    fail(node.place,
         key.path + " is a list of two numbers, not of " + std::to_string(items.size()));
  }
  return {read_number("each of " + key.path, key.range, items[0]),
          read_number("each of " + key.path, key.range, items[1])};
}

// What a listen address was most likely meant to be: a port, with whatever host, or a yes.
std::string listen_meant(const std::string& text) {
  const std::string lower = bare_name(text);
  if (lower == "true" || lower == "on" || lower == "yes") return "127.0.0.1:9400";
  if (lower == "false" || lower == "no" || lower == "none") return "off";
  const std::string meant = "127.0.0.1:" + text.substr(text.rfind(':') + 1);
  return parse_listen_address(meant) ? meant : "";
}

Json read_listen(const KeySpec& key, const YamlNode& node) {
  constexpr const char* kWanted = "off, 127.0.0.1:PORT (0: any) or unix:PATH";
  const std::string& text = scalar(key.path, node, kWanted);
  if (text == "off") return text;
  if (parse_listen_address(text)) return read_text(key.path, node);
  std::string message = key.path + " is " + kWanted + ", not " + quoted(text);
  const std::string meant = listen_meant(text);
  if (!meant.empty()) message += "; write " + meant;
  if (text.starts_with("0.0.0.0") || text.starts_with("*") || text.starts_with("["))
    message += "; only this host may read it: forward the port with ssh -L";
  fail(node.place, message);
}

}  // namespace

std::string no_value(const std::string& path) {
  const std::string what = path + " has no value; ";
  if (path == "restore") {
    return what +
           "write latest to carry on, auto to carry on where there is a checkpoint, or fresh to "
           "start anew";
  }
  const KeySpec* key = find_key(path);
  const bool is_word = key != nullptr && key->kind == ValueKind::kWord;
  return what + (is_word ? "write " + alternatives(key->words) : "give it one") +
         ", or leave it out";
}

bool looks_numeric(const std::string& text) {
  const std::size_t at = text.find_first_not_of("+-.");
  return at <= 2 && at < text.size() && text[at] >= '0' && text[at] <= '9';
}

Json read_value(const KeySpec& key, const YamlNode& node) {
  switch (key.kind) {
    case ValueKind::kInteger:
      return read_integer(key, node);
    case ValueKind::kNumber:
      return read_number(key.path, key.range, node);
    case ValueKind::kPair:
      return read_pair(key, node);
    case ValueKind::kBool:
      return read_bool(key, node);
    case ValueKind::kWord:
      return read_word(key, node);
    case ValueKind::kWordList:
      return read_word_list(key, node);
    case ValueKind::kText:
    case ValueKind::kPath:
      return read_text(key.path, node);
    case ValueKind::kTextList:
      return read_text_list(key, node);
    case ValueKind::kListen:
      return read_listen(key, node);
  }
  fail(node.place, key.path + " cannot be read");
}

}  // namespace lockstep
