#include "coordinator/option_hints.h"

#include <algorithm>
#include <optional>

#include "coordinator/config_foreign.h"
#include "coordinator/config_hints.h"
#include "coordinator/config_restore.h"
#include "coordinator/config_schema.h"
#include "coordinator/config_text.h"
#include "coordinator/config_values.h"

namespace lockstep {
namespace {

// "'restore: latest', or ..." -> "--set restore=latest, or ..."
std::string as_set(std::string text) {
  for (auto begin = text.find('\''); begin != std::string::npos; begin = text.find('\'', begin)) {
    const auto colon = text.find(": ", begin);
    const auto end = text.find('\'', begin + 1);
    if (end == std::string::npos || colon > end) break;
    const auto key = text.substr(begin + 1, colon - begin - 1);
    if (key != "restore") break;
    text.replace(begin, end + 1 - begin,
                 "--set " + key + "=" + text.substr(colon + 2, end - colon - 2));
  }
  return text;
}

std::string set_text(const std::string& key, const std::string& value) {
  return "--set " + key + "=" + (value.empty() ? "VALUE" : printable(value));
}

// The key that a name is one of: by its whole path, or by its last name where that is one key's.
std::string key_named(const std::string& name) {
  if (find_key(name) != nullptr || name == "restore") return name;
  const auto paths = paths_named(name);
  return paths.size() == 1 && find_key(paths.front()) != nullptr ? paths.front() : "";
}

// What `--NAME VALUE` is here; "" for what is not known.
std::string advice_for(std::string name, const std::string& value) {
  std::replace(name.begin(), name.end(), '-', '_');
  if (name == "restore") {
    const bool is_one = !restore_word(value).empty() || looks_numeric(value);
    const bool anew = wish_of(value) == RestoreWish::kFresh;
    return "write " + set_text(name, is_one ? value : anew ? "fresh" : "latest");
  }
  if (const auto key = key_named(name); !key.empty()) return "write " + set_text(key, value);
  const auto here = foreign_name("", name, value);
  if (here.empty()) return "";
  return find_key(here) != nullptr ? "here that is " + set_text(here, value)
                                   : "here that is " + as_set(here);
}

// The word behind an option, where it may be its value: neither an option nor the configuration.
std::string value_behind(const std::vector<std::string>& words, std::size_t option) {
  if (option + 1 == words.size()) return "";
  const auto& word = words[option + 1];
  const bool is_file = word.ends_with(".yaml") || word.ends_with(".yml") || word.ends_with(".json");
  return is_file || word.starts_with("-") ? "" : word;
}

bool is_among(const std::vector<std::string>& known, const std::string& word) {
  return std::find(known.begin(), known.end(), word) != known.end();
}

}  // namespace

std::string did_you_mean(const std::string& given, const std::vector<std::string>& words) {
  const auto near = nearest(given, words);
  return near.empty() ? "" : "; did you mean '" + near + "'?";
}

WordHint hint_at(const std::vector<std::string>& words, const std::vector<std::string>& known) {
  const bool sets = is_among(known, "--set");
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto& word = words[i];
    const auto sign = std::min(word.find('='), word.size());
    const auto name = word.substr(0, sign);
    if (is_among(known, name)) {
      if (name == "--set" && sign == word.size()) ++i;  // what it sets
      continue;
    }
    const bool is_option = word.size() > 1 && word.front() == '-';
    if (!is_option) {
      if (sets && sign < word.size() && !key_named(name).empty())
        return {"unexpected argument '" + printable(word) + "'", "write --set " + printable(word)};
      continue;
    }
    const auto value = sign < word.size() ? word.substr(sign + 1) : value_behind(words, i);
    const auto cause = "unknown option '" + printable(name) + "'";
    const auto bare = name.substr(std::min(name.find_first_not_of('-'), name.size()));
    if (auto advice = sets ? advice_for(bare, value) : ""; !advice.empty())
      return {cause, std::move(advice)};
    return {cause + did_you_mean(name, known), ""};
  }
  return {};
}

}  // namespace lockstep
