#include "coordinator/config_restore.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "coordinator/config_foreign.h"
#include "coordinator/config_hints.h"
#include "coordinator/config_schema.h"
#include "coordinator/config_text.h"
#include "coordinator/config_values.h"

namespace lockstep {
namespace {

// What stands in the way of a mode: {mode, keys}.
const std::vector<std::string>& barred(const std::string& mode) {
  static const std::map<std::string, std::vector<std::string>> by_mode = {
      {"fresh", {"iteration", "attempt", "skip_samples", "if_missing", "from", "scope", "exclude"}},
      {"latest", {"iteration"}},
      {"best", {"iteration", "if_missing"}},
      {"iteration", {"if_missing"}},
  };
  static const std::vector<std::string> nothing;
  const auto row = by_mode.find(mode);
  return row == by_mode.end() ? nothing : row->second;
}

void put(YamlNode& mapping, const std::string& key, const std::string& text) {
  mapping.entries.push_back(
      {key, mapping.place, {YamlKind::kScalar, false, text, mapping.place, {}, {}}});
}

void erase(YamlNode& mapping, const std::string& key) {
  std::erase_if(mapping.entries, [&](const YamlEntry& entry) { return entry.key == key; });
}

const std::vector<std::string>& short_words() {
  static const std::vector<std::string> words = {"fresh", "latest", "auto", "best"};
  return words;
}

bool is_in(const std::vector<std::string>& list, const std::string& word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

// "3@1200" -> {"3", "1200"}; nothing is checked of the parts.
std::optional<std::pair<std::string, std::string>> parts_at_sign(std::string_view text) {
  const std::size_t sign = text.find('@');
  if (sign == std::string_view::npos) return std::nullopt;
  return std::pair(std::string(text.substr(0, sign)), std::string(text.substr(sign + 1)));
}

bool is_attempt_and_iteration(std::string_view text) {
  const auto parts = parts_at_sign(text);
  return parts && looks_numeric(parts->first) && looks_numeric(parts->second);
}

constexpr const char* kWriteFresh = "; write fresh, which starts anew and leaves what is there";

// "3@latest": the newest of an attempt's lineage. "" for what is nothing of the kind.
std::string mode_of_attempt(const std::string& text) {
  const auto parts = parts_at_sign(text);
  if (!parts) return "";
  for (const auto& [mode, attempt] : {*parts, std::pair(parts->second, parts->first)})
    if ((mode == "latest" || mode == "best") && looks_numeric(attempt))
      return std::string("{mode: ").append(mode).append(", attempt: ").append(attempt).append("}");
  return "";
}

// The keys of a section that are what `restore: FORM` is.
std::string as_keys(const std::string& form) {
  if (form == "auto") return "mode: latest, if_missing: fresh";
  if (const auto parts = parts_at_sign(form))
    return "attempt: " + parts->first + ", iteration: " + parts->second;
  return (is_in(short_words(), form) ? "mode: " : "iteration: ") + form;
}

[[noreturn]] void fail_short_form(const YamlNode& node) {
  const std::string& text = node.text;
  std::string message =
      "restore is fresh, latest, auto, best, an iteration as 1200, a checkpoint "
      "as 3@1200, or a section, not '" +
      printable(text) + "'";
  const auto wish = wish_of(text);
  if (wish == RestoreWish::kFresh) fail(node.place, message + kWriteFresh);
  if (wish == RestoreWish::kLatest) {
    fail(node.place, message + "; write latest, or auto where there may be no checkpoint yet");
  }
  const bool is_path = text.find('/') != std::string::npos;
  if (is_path) message += "; a path is written {from: PATH}";
  const std::string form = restore_form(text);
  const std::string iteration = is_path ? iteration_in_name(text) : "";
  if (!iteration.empty()) {
    message += ", a checkpoint of this run " + iteration;
  } else if (is_path) {
    fail(node.place, message);
  } else if (const std::string section = mode_of_attempt(text); !section.empty()) {
    message += "; write " + section;
  } else if (!form.empty() && !is_in(short_words(), bare_name(text))) {
    message += "; write " + form;
  } else if (const std::string near = nearest(text, short_words()); !near.empty()) {
    message += "; did you mean " + near + "?";
  }
  fail(node.place, message);
}

// What to write in place of a mode that is none; "" where it is not known.
std::string instead_of_mode(const std::string& text, const YamlNode& restore) {
  const std::string form = restore_form(text);
  if (form == "fresh") return kWriteFresh;
  if (form == "latest" && wish_of(text) == RestoreWish::kLatest)
    return "; write latest, with if_missing: fresh where there may be no checkpoint yet";
  if (looks_numeric(text) && !parts_at_sign(text)) return "; write iteration: " + printable(text);
  if (form.empty()) return "";
  const bool alone = restore.entries.size() == 1;
  if (alone && (form == "auto" || parts_at_sign(form))) return "; write restore: " + form;
  const bool is_completed = form == "auto" && find(restore, "if_missing") != nullptr;
  return "; write " + as_keys(is_completed ? "latest" : form);
}

bool is_given(const GivenValues& given, const std::string& key) {
  return given.count("restore." + key) != 0;
}

// Weights in a file are taken as they are: there is no lineage to choose in.
void check_weights_file(const GivenValues& given) {
  const auto from = given.find("restore.from");
  if (from == given.end()) return;
  const auto& path = from->second.value.get_ref<const std::string&>();
  if (!path.ends_with(".safetensors") && !path.ends_with(".safetensors.index.json")) return;
  for (const char* key : {"mode", "iteration", "attempt"}) {
    if (!is_given(given, key)) continue;
    fail(given.at(std::string("restore.") + key).place,
         std::string("restore.") + key +
             " chooses in a store, but restore.from is a file of "
             "weights; leave it out");
  }
  const auto scope = given.find("restore.scope");
  if (scope == given.end() || scope->second.value != "model") {
    fail(scope == given.end() ? from->second.place : scope->second.place,
         "restore.from is a file of weights; write scope: model");
  }
}

}  // namespace

RestoreWish wish_of(std::string_view word) {
  static const std::vector<std::string> anew = {"none", "no",      "false",       "off",  "never",
                                                "n",    "disable", "disabled",    "null", "nothing",
                                                "new",  "scratch", "fromscratch", "~"};
  static const std::vector<std::string> last = {
      "last",   "newest", "true",           "yes",
      "on",     "y",      "resume",         "continue",
      "recent", "must",   "lastcheckpoint", "latestcheckpoint"};
  static const std::vector<std::string> perhaps = {"hpc",         "allow",     "ifexists",
                                                   "ifavailable", "automatic", "autoresume"};
  const auto bare = bare_name(word);
  if (is_in(anew, bare)) return RestoreWish::kFresh;
  if (is_in(perhaps, bare)) return RestoreWish::kAuto;
  return is_in(last, bare) ? RestoreWish::kLatest : RestoreWish::kUnknown;
}

std::string iteration_in_name(std::string_view name) {
  static const std::vector<std::string> heads = {"checkpoint", "ckpt", "step",      "steps",
                                                 "globalstep", "iter", "iteration", "ba"};
  constexpr std::size_t kMostDigits = 15;
  while (name.ends_with('/'))
    name.remove_suffix(1);
  name.remove_prefix(name.rfind('/') + 1);
  for (const std::string_view suffix : {".ckpt", ".pt", ".pth"})
    if (name.ends_with(suffix)) name.remove_suffix(suffix.size());
  const std::size_t head_end = name.find_last_not_of("0123456789") + 1;
  std::string_view digits = name.substr(head_end);
  if (digits.empty() || digits.size() > kMostDigits) return "";
  digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size() - 1));
  std::string_view head = name.substr(0, head_end);
  head = head.substr(0, head.find_last_not_of("-_=.") + 1);
  head.remove_prefix(head.find_last_of("-_=.0123456789") + 1);
  return is_in(heads, bare_name(head)) ? std::string(digits) : "";
}

std::string restore_form(std::string_view text) {
  if (is_attempt_and_iteration(text)) return std::string(text);
  auto bare = bare_name(text);
  if (is_in(short_words(), bare)) return bare;
  if (text == "-1") return "auto";
  const bool is_number =
      !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
  if (is_number) return std::string(text);
  switch (wish_of(text)) {
    case RestoreWish::kFresh:
      return "fresh";
    case RestoreWish::kLatest:
      return "latest";
    case RestoreWish::kAuto:
      return "auto";
    case RestoreWish::kUnknown:
      break;
  }
  return text.find('/') == std::string_view::npos ? iteration_in_name(text) : "";
}

void check_restore_words(const YamlNode& restore) {
  const bool alone = restore.entries.size() == 1;
  for (const YamlEntry& entry : restore.entries) {
    if (entry.value.kind != YamlKind::kNull || find_key("restore." + entry.key) != nullptr)
      continue;
    const std::string form = restore_form(entry.key);
    if (form.empty()) continue;
    fail(entry.place, "unknown key '" + printable(entry.key) + "' in restore; write " +
                          (alone ? "restore: " + form : as_keys(form)));
  }
  const YamlNode* mode = find(restore, "mode");
  if (mode == nullptr || mode->kind != YamlKind::kScalar) return;
  const auto& modes = find_key("restore.mode")->words;
  const std::string instead = instead_of_mode(mode->text, restore);
  if (is_in(modes, mode->text) || instead.empty()) return;
  fail(mode->place, "restore.mode is " + alternatives(modes) + ", not '" + printable(mode->text) +
                        "'" + instead);
}

YamlNode long_restore(YamlNode restore) {
  if (restore.kind == YamlKind::kMapping) return restore;
  if (restore.kind == YamlKind::kNull) fail(restore.place, no_value("restore"));
  if (restore.kind == YamlKind::kSequence) {
    const bool is_one = restore.items.size() == 1 && restore.items[0].kind == YamlKind::kScalar;
    const std::string form = is_one ? restore_form(restore.items[0].text) : "";
    fail(restore.place, "restore is a section or a short form, not a list" +
                            (form.empty() ? "" : "; write restore: " + form));
  }
  if (restore.text.empty()) fail(restore.place, no_value("restore"));
  YamlNode section;
  section.kind = YamlKind::kMapping;
  section.place = restore.place;
  const std::string& text = restore.text;
  if (text == "auto") {
    put(section, "mode", "latest");
    put(section, "if_missing", "fresh");
  } else if (text == "fresh" || text == "latest" || text == "best") {
    put(section, "mode", text);
  } else if (is_attempt_and_iteration(text)) {
    const auto parts = *parts_at_sign(text);
    put(section, "attempt", parts.first);
    put(section, "iteration", parts.second);
  } else if (!parts_at_sign(text) && looks_numeric(text)) {
    put(section, "iteration", text);
    section.entries.back().value.quoted = restore.quoted;
  } else {
    fail_short_form(restore);
  }
  return section;
}

void drop_contradictions(YamlNode& restore, const std::string& key) {
  const YamlNode* mode = find(restore, "mode");
  if (key == "mode" && mode->kind == YamlKind::kScalar) {
    for (const std::string& other : barred(std::string(mode->text)))
      erase(restore, other);
  } else if (key == "iteration") {
    if (mode != nullptr && mode->text != "iteration") erase(restore, "mode");
    erase(restore, "if_missing");
  }
}

void complete_restore(GivenValues& given, const Place& section) {
  check_weights_file(given);
  const bool written = is_given(given, "mode");
  if (!written) {
    if (is_given(given, "iteration")) {
      given["restore.mode"] = {"iteration", given.at("restore.iteration").place};
    } else if (is_given(given, "attempt") || is_given(given, "from")) {
      given["restore.mode"] = {"latest", section};
    } else {
      fail(section, "restore.mode is missing; write fresh, latest, best or iteration");
    }
  }
  const GivenValue mode = given.at("restore.mode");
  const auto word = mode.value.get<std::string>();
  if (word == "iteration" && !is_given(given, "iteration")) {
    fail(mode.place, "mode: iteration needs restore.iteration; write which one");
  }
  for (const std::string& key : barred(word)) {
    const auto other = given.find("restore." + key);
    if (other == given.end()) continue;
    const auto what = written || word != "iteration" ? "mode: " + word : "restore.iteration";
    fail(other->second.place, other->first + " contradicts " + what + "; leave one of them out");
  }
}

}  // namespace lockstep
