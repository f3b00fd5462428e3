#include "coordinator/option_hints.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "coordinator/config_foreign.h"
#include "coordinator/config_hints.h"
#include "coordinator/config_restore.h"
#include "coordinator/config_schema.h"
#include "coordinator/config_synonyms.h"
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

bool is_among(const std::vector<std::string>& known, const std::string& word) {
  return std::find(known.begin(), known.end(), word) != known.end();
}

bool is_list(const KeySpec& key) {
  return key.kind == ValueKind::kTextList || key.kind == ValueKind::kWordList ||
         key.kind == ValueKind::kPair;
}

// A value as the key has it, or "VALUE" where it can't be that.
std::string fitting(const KeySpec& key, const std::string& value) {
  if (is_list(key) && !value.starts_with('[')) return "VALUE";
  if (key.kind != ValueKind::kWord || is_among(key.words, value)) return printable(value);
  const auto meant = meant_word(key.path, value).value_or("");
  return meant.empty() ? "VALUE" : meant;
}

std::string set_text(const std::string& key, const std::string& value) {
  const KeySpec* known = find_key(key);
  const bool is_given = !value.empty() && value != "null";
  const auto text = known == nullptr ? printable(value) : fitting(*known, value);
  return "--set " + key + "=" + (is_given ? text : "VALUE");
}

// The key whose last name this is, where there is one such key; "" else.
std::string only_key_named(std::string_view name) {
  const auto paths = paths_named(name);
  return paths.size() == 1 && find_key(paths.front()) != nullptr ? paths.front() : "";
}

// What `--restore VALUE` is here.
std::string restore_set(const std::string& value) {
  const auto form = restore_form(value);
  if (!form.empty()) return set_text("restore", form);
  if (looks_numeric(value) || value.starts_with('{')) return set_text("restore", value);
  if (value.find('/') == std::string::npos) return set_text("restore", "latest");
  const auto iteration = iteration_in_name(value);
  return iteration.empty() ? set_text("restore.from", value) : set_text("restore", iteration);
}

bool is_configuration(const std::string& name) {
  return has_name("config c cfg config_file config_path config_name f file yaml", bare_name(name));
}

// What `--NAME VALUE` is here; "" for what is not known. A name with dots is a path that may begin
// anywhere: "trainer.max_steps".
std::string advice_for(std::string name, const std::string& value) {
  std::replace(name.begin(), name.end(), '-', '_');
  const KeySpec* own = find_key(name);
  const bool is_no_mode = name == "restore.mode" && !is_among(own->words, value);
  if (name == "restore" || is_no_mode) return "write " + restore_set(value);
  if (own != nullptr) return "write " + set_text(name, value);
  const bool is_path = name.find('.') != std::string::npos;
  auto key = is_path ? "" : only_key_named(name);
  if (!key.empty()) return "write " + set_text(key, value);
  const auto here = foreign_name("", name, value);
  if (find_key(here) != nullptr) return "here that is " + set_text(here, value);
  if (!here.empty()) return "here that is " + as_set(here);
  key = is_path ? only_key_named(name.substr(name.rfind('.') + 1)) : "";
  return key.empty() ? "" : "write " + set_text(key, value);
}

bool is_file(const std::string& word) {
  return word.ends_with(".yaml") || word.ends_with(".yml") || word.ends_with(".json");
}

// The word behind an option, where it may be its value: neither an option nor the configuration.
std::string value_behind(const std::vector<std::string>& words, std::size_t option) {
  if (option + 1 == words.size()) return "";
  const auto& word = words[option + 1];
  const bool is_option = word.starts_with("-") && !looks_numeric(word);
  return is_file(word) || is_option ? "" : word;
}

// The configuration has no option: `--config train.yaml` is `train.yaml`.
std::string configuration_alone(const std::vector<std::string>& words) {
  const auto file = std::find_if(words.begin(), words.end(), is_file);
  const auto name = file == words.end() ? "CONFIG" : file->substr(file->find('=') + 1);
  return "it stands alone, without an option: write " + printable(name);
}

}  // namespace

std::string did_you_mean(const std::string& given, const std::vector<std::string>& words) {
  const auto near = nearest(given, words);
  return near.empty() ? "" : "; did you mean '" + near + "'?";
}

std::string in_our_words(const std::string& parser_text) {
  const std::string_view text = parser_text;
  using Pair = std::pair<std::string_view, const char*>;
  for (const auto& [theirs, ours] :
       {Pair("The following argument was not expected: ", "unexpected argument '"),
        Pair("The following arguments were not expected: ", "unexpected arguments '")})
    if (text.starts_with(theirs)) return ours + printable(text.substr(theirs.size())) + "'";
  for (const auto& [theirs, ours] :
       {Pair(" is required", " is missing"), Pair(": 1 required TEXT missing", " has no value")})
    if (text.ends_with(theirs))
      return std::string(text.substr(0, text.size() - theirs.size())) + ours;
  constexpr std::string_view kChoices = " not in {";
  const auto colon = text.find(": ");
  const auto choices = text.rfind(kChoices);
  if (choices == std::string_view::npos || colon >= choices || !text.ends_with('}'))
    return parser_text;
  const auto first = choices + kChoices.size();
  return std::string(text.substr(0, colon)) + " is one of " +
         std::string(text.substr(first, text.size() - 1 - first)) + ", not '" +
         printable(text.substr(colon + 2, choices - colon - 2)) + "'";
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
      if (!sets || sign == word.size() || is_file(word)) continue;
      const auto bare = name.substr(std::min(name.find_first_not_of("+~"), name.size()));
      if (auto advice = advice_for(bare, word.substr(sign + 1)); !advice.empty())
        return {"unexpected argument '" + printable(word) + "'", std::move(advice)};
      continue;
    }
    const auto value = sign < word.size() ? word.substr(sign + 1) : value_behind(words, i);
    const auto cause = "unknown option '" + printable(name) + "'";
    const auto bare = name.substr(std::min(name.find_first_not_of('-'), name.size()));
    if (sets && is_configuration(bare)) return {cause, configuration_alone(words)};
    if (auto advice = sets ? advice_for(bare, value) : ""; !advice.empty())
      return {cause, std::move(advice)};
    return {cause + did_you_mean(name, known), ""};
  }
  return {};
}

}  // namespace lockstep
