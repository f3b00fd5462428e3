#include "common/strict_json.h"

#include <new>
#include <utility>

#include <simdjson.h>

#include "common/error.h"

namespace lockstep {
namespace {

using nlohmann::json;

// simdjson reads, since a decision reads hundreds of records and nlohmann's lexer was half of its
// time; nlohmann's tree is what all else works with.
class TreeBuilder {
 public:
  // `opaque`: the key of a member of the outermost object that is left out.
  TreeBuilder(std::string_view what, int max_depth, std::string_view opaque = {})
      : what_(what), max_depth_(max_depth), opaque_(opaque) {}

  json build(const simdjson::dom::element& element, int depth = 0) const {
    switch (element.type()) {
      case simdjson::dom::element_type::OBJECT:
        return object(element, deeper(depth));
      case simdjson::dom::element_type::ARRAY:
        return array(element, deeper(depth));
      case simdjson::dom::element_type::STRING:
        return std::string(std::string_view(element));
      case simdjson::dom::element_type::INT64:
        return integer(element);
      case simdjson::dom::element_type::UINT64:
        return std::uint64_t(element);
      case simdjson::dom::element_type::DOUBLE:
        return double(element);
      case simdjson::dom::element_type::BOOL:
        return bool(element);
      case simdjson::dom::element_type::NULL_VALUE:
        break;
    }
    return nullptr;
  }

 private:
  int deeper(int depth) const {
    if (depth >= max_depth_) throw_damaged(what_, "is nested too deep");
    return depth + 1;
  }

  // As nlohmann has it: only what is below zero is signed.
  static json integer(std::int64_t value) {
    if (value < 0) return value;
    return static_cast<std::uint64_t>(value);
  }

  json object(const simdjson::dom::object& members, int depth) const {
    json::object_t tree;
    for (const auto& [key, value] : members) {
      // Mostly the keys ascend, as seal writes them.
      const auto size = tree.size();
      const auto place = tree.try_emplace(tree.end(), std::string(key));
      if (tree.size() == size) throw_damaged(what_, "holds a key twice");
      if (depth > 1 || opaque_.empty() || key != opaque_) place->second = build(value, depth);
    }
    return tree;
  }

  json array(const simdjson::dom::array& elements, int depth) const {
    json::array_t tree;
    tree.reserve(elements.size());
    for (const auto& element : elements)
      tree.push_back(build(element, depth));
    return tree;
  }

  std::string_view what_;
  int max_depth_;
  std::string_view opaque_;
};

// `parser` holds what the element refers to.
simdjson::dom::element parse_text(simdjson::dom::parser& parser, std::string_view text,
                                  std::string_view what) {
  if (text.starts_with("\xEF\xBB\xBF")) throw_damaged(what, "begins with a byte order mark");
  simdjson::dom::element root;
  switch (parser.parse(text.data(), text.size()).get(root)) {
    case simdjson::SUCCESS:
      return root;
    case simdjson::DEPTH_ERROR:
      throw_damaged(what, "is nested too deep");
    case simdjson::MEMALLOC:
      throw std::bad_alloc();
    default:
      throw_damaged(what, "is no valid JSON");
  }
}

}  // namespace

void throw_damaged(std::string_view what, std::string_view problem) {
  throw Error(ErrorCode::kDamaged, std::string(what) + ": " + std::string(problem));
}

json parse_strict_json(std::string_view text, std::string_view what, int max_depth,
                       std::string_view opaque) {
  simdjson::dom::parser parser;
  return TreeBuilder(what, max_depth, opaque).build(parse_text(parser, text, what));
}

void for_each_in_list(std::string_view text, std::string_view what, int depth,
                      const std::function<void(const json&)>& each) {
  simdjson::dom::parser parser;
  simdjson::dom::array list;
  if (parse_text(parser, text, what).get(list) != simdjson::SUCCESS)
    throw_damaged(what, "is no list");
  const TreeBuilder builder(what, kMaxDepth);
  for (const auto& element : list)
    each(builder.build(element, depth));
}

}  // namespace lockstep
