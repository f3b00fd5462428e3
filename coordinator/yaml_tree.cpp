#include "coordinator/yaml_tree.h"

#include <algorithm>
#include <optional>
#include <sstream>
#include <utility>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include "coordinator/yaml_syntax.h"

namespace lockstep {
namespace {

constexpr std::size_t kMaxDepth = 16;
constexpr std::size_t kMaxNodes = 10'000;
constexpr std::size_t kNowhere = std::string_view::npos;

// Turns the parser's events into a tree.
class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(const SourceText& source) : source_(source) {}

  YamlNode take() { return std::move(root_); }

  // Offset of the innermost [ or { that is open.
  std::size_t opener() const {
    const auto open =
        std::find_if(open_.rbegin(), open_.rend(), [](const Open& one) { return one.bracket; });
    return open == open_.rend() ? kNowhere : open->offset;
  }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) fail_second_document(offset(mark));
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (anchor != 0) fail_indicator(source_, offset(mark));
    add({YamlKind::kNull, false, "", source_.place(offset(mark)), {}, {}});
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    fail_indicator(source_, offset(mark));
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    const std::size_t at = offset(mark);
    check_plain(at, tag, anchor);
    const bool quoted = tag == "!";
    if (quoted) check_closed(at);
    add({YamlKind::kScalar, quoted, value, source_.place(at), {}, {}});
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value style) override {
    begin(YamlKind::kSequence, mark, tag, anchor, style);
  }
  void OnSequenceEnd() override { end(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value style) override {
    begin(YamlKind::kMapping, mark, tag, anchor, style);
  }
  void OnMapEnd() override { end(); }

 private:
  // A sequence or mapping whose end has not come yet.
  struct Open {
    YamlNode node;
    std::optional<std::pair<std::string, Place>> key;  // read, its value not yet
    std::size_t offset = 0;
    bool bracket = false;
  };

  std::size_t offset(const YAML::Mark& mark) const {
    return source_.offset(mark.line, mark.column);
  }

  char character(std::size_t at) const {
    return at < source_.text().size() ? source_.text()[at] : '\0';
  }

  // The library gives "?" to plain values and "!" to quoted ones, but "!" to a lone tag, too.
  void check_plain(std::size_t at, const std::string& tag, YAML::anchor_t anchor) const {
    if (anchor != 0 || (tag != "?" && tag != "!") || character(at) == '!') {
      fail_indicator(source_, at);
    }
  }

  // The library takes the end of the text for a closing quote where a line end precedes it.
  void check_closed(std::size_t at) const {
    const char quote = character(at);
    if (quote != '"' && quote != '\'') return;
    const std::string_view text = source_.text();
    for (std::size_t i = at + 1; i < text.size(); ++i) {
      if (text[i] == '\\' && quote == '"') {
        ++i;
      } else if (text[i] == quote) {
        if (quote == '"' || character(i + 1) != quote) return;
        ++i;
      }
    }
    fail(source_.place(at), "this quote is never closed");
  }

  [[noreturn]] void fail_second_document(std::size_t at) const {
    std::string_view before = source_.text().substr(0, at);
    before = before.substr(0, before.find_last_not_of(" \t\r\n") + 1);
    const std::size_t line = before.rfind('\n') == kNowhere ? 0 : before.rfind('\n') + 1;
    const std::string_view mark = before.substr(line, 3);
    if (mark == "---" || mark == "..." || source_.text().substr(at, 3) == "---") {
      fail(source_.place(at), "a second document begins here; a configuration is one document");
    }
    fail(source_.place(at),
         "this does not belong to what is above it; keys of one level begin in the same column");
  }

  void begin(YamlKind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
             YAML::EmitterStyle::value style) {
    const std::size_t at = offset(mark);
    check_plain(at, tag, anchor);
    if (open_.size() == kMaxDepth) {
      fail(source_.place(at), "nested too deep; a configuration has at most 16 levels");
    }
    Open open;
    open.node.kind = kind;
    open.node.place = source_.place(at);
    open.offset = at;
    open.bracket =
        style == YAML::EmitterStyle::Flow && (character(at) == '[' || character(at) == '{');
    open_.push_back(std::move(open));
  }

  void end() {
    YamlNode node = std::move(open_.back().node);
    open_.pop_back();
    add(std::move(node));
  }

  void add(YamlNode node) {
    if (++nodes_ > kMaxNodes) {
      fail(node.place, "more than 10000 values; is it the configuration?");
    }
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& open = open_.back();
    if (open.node.kind == YamlKind::kSequence) {
      open.node.items.push_back(std::move(node));
    } else if (open.key) {
      if (node.kind == YamlKind::kNull) node.place = open.key->second;
      open.node.entries.push_back(
          {std::move(open.key->first), std::move(open.key->second), std::move(node)});
      open.key.reset();
    } else {
      add_key(open, std::move(node));
    }
  }

  static void add_key(Open& open, YamlNode node) {
    if (node.kind != YamlKind::kScalar) {
      fail(node.place, "a key is missing here; keys are plain words");
    }
    if (node.text == "<<" && !node.quoted) {
      fail(node.place, "merge keys (<<) are not accepted; write the keys out");
    }
    for (const YamlEntry& entry : open.node.entries) {
      if (entry.key != node.text) continue;
      std::string text = "duplicate key '" + printable(node.text) + "'";
      const std::string line = std::to_string(node.place.line);
      if (node.place.line != 0 && entry.place.line == node.place.line) {
        text += "; it stands twice on line " + line;
      } else if (node.place.line != 0) {
        text += "; it stands on line " + std::to_string(entry.place.line) + " and on line " + line;
      }
      fail(node.place, text + "; leave one out");
    }
    open.key = {std::move(node.text), std::move(node.place)};
  }

  const SourceText& source_;
  std::vector<Open> open_;
  YamlNode root_;
  std::size_t nodes_ = 0;
  int documents_ = 0;
};

}  // namespace

const YamlNode* find(const YamlNode& mapping, std::string_view key) {
  const auto entry = std::find_if(mapping.entries.begin(), mapping.entries.end(),
                                  [&](const YamlEntry& e) { return e.key == key; });
  return entry == mapping.entries.end() ? nullptr : &entry->value;
}

YamlNode* find(YamlNode& mapping, std::string_view key) {
  return const_cast<YamlNode*>(find(std::as_const(mapping), key));
}

YamlNode parse_yaml(std::string_view text, std::string_view name, bool has_lines) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);  // a byte order mark
  const SourceText source(text, name, has_lines);
  source.check_characters();
  const auto brackets =
      std::count_if(text.begin(), text.end(), [](char c) { return c == '[' || c == '{'; });
  if (brackets > static_cast<std::ptrdiff_t>(kMaxNodes)) {  // the library would take 250 bytes each
    fail(source.place(0), "more than 10000 lists and sections; is it the configuration?");
  }
  std::istringstream in{std::string(text)};
  TreeBuilder builder(source);
  try {
    YAML::Parser parser(in);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {
    fail_syntax(source, source.offset(error.mark.line, error.mark.column), error.msg,
                builder.opener());
  }
  YamlNode root = builder.take();
  if (root.place.text.empty()) root.place = source.place(0);
  return root;
}

}  // namespace lockstep
