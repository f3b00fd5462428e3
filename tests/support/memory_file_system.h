#pragma once

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/error.h"
#include "common/file_system.h"
#include "tests/support/random.h"

namespace lockstep::testing {

// The store's file system in memory, with what POSIX leaves open about a power cut:
//   1. a folder's entries are durable after sync_folder, a file's bytes after finish, not before;
//   2. lose_power keeps, of the changes that are not durable, as many as chance will have it: none,
//      all, those before some moment, or any subset (a rename stays one change);
//   3. a file whose bytes are not durable then has its old ones, all, a part or none of them.
// Deterministic, not thread-safe. Paths are absolute; FOLDER is there and durable from the start.
class MemoryFileSystem : public FileSystem {
 public:
  explicit MemoryFileSystem(const std::string& folder) {
    root_->entries[folder.substr(1)] = make_node(EntryKind::kFolder);
    root_->durable = root_->entries;
  }

  std::optional<FileInfo> info(const std::string& path) const override {
    const auto node = find(path);
    if (!node) return std::nullopt;
    return FileInfo{node->kind, node->bytes.size(), 0, 0};
  }
  std::vector<Entry> list(const std::string& folder) const override {
    const auto node = find(folder);
    if (!node || node->kind != EntryKind::kFolder) missing("list", folder);
    std::vector<Entry> entries;
    entries.reserve(node->entries.size());
    for (const auto& [name, entry] : node->entries)
      entries.push_back({name, entry->kind});
    return entries;
  }
  std::unique_ptr<ReadableFile> open(const std::string& path) const override {
    const auto node = find(path);
    if (!node || node->kind != EntryKind::kFile) missing("open", path);
    return std::make_unique<Reader>(node);
  }

  void make_folder(const std::string& path) override {
    if (!claim_folder(path) && find(path)->kind != EntryKind::kFolder) failed("mkdir", path);
  }
  bool claim_folder(const std::string& path) override {
    if (find(path)) return false;
    enter(path, make_node(EntryKind::kFolder));
    return true;
  }
  std::unique_ptr<WritableFile> create(const std::string& path) override {
    if (find(path)) failed("create", path);
    auto node = make_node(EntryKind::kFile);
    enter(path, node);
    return std::make_unique<Writer>(std::move(node));
  }
  void rename(const std::string& from, const std::string& to) override {
    const auto node = find(from);
    if (!node) missing("rename", from);
    const auto there = find(to);
    if (there && (there->kind != node->kind || !there->entries.empty())) failed("rename", to);
    const auto [folder, name] = place_of(to);
    const auto [old_folder, old_name] = place_of(from);
    if (folder != old_folder) failed("rename to another folder, which no test needs:", to);
    change(*folder, {++ticks_, std::string(name), node, std::string(old_name)});
  }
  bool link(const std::string& from, const std::string& to) override {
    const auto node = find(from);
    if (!node) missing("link", from);
    if (find(to)) return false;
    enter(to, node);
    return true;
  }
  void unlink(const std::string& path) override {
    const auto node = find(path);
    if (!node) return;
    if (node->kind != EntryKind::kFile) failed("unlink", path);
    remove(path);
  }
  void remove_folder(const std::string& path) override {
    const auto node = find(path);
    if (!node) return;
    if (!node->entries.empty()) failed("rmdir", path);
    remove(path);
  }
  void sync_folder(const std::string& path) override {
    const auto node = find(path);
    if (!node || node->kind != EntryKind::kFolder) missing("fsync", path);
    node->durable = node->entries;
    node->pending.clear();
  }
  void write_into(const std::string& path, std::uint64_t offset, const std::string& text) override {
    auto node = find(path);
    if (!node) enter(path, node = make_node(EntryKind::kFile));
    if (node->bytes.size() < offset + text.size()) node->bytes.resize(offset + text.size());
    std::copy(text.begin(), text.end(), node->bytes.begin() + static_cast<std::ptrdiff_t>(offset));
    node->bytes_durable = false;
  }

  // What a test looks at and does beside lockstep's own operations.
  const std::string* bytes(const std::string& path) const {  // nullptr: no such file
    const auto node = find(path);
    return node && node->kind == EntryKind::kFile ? &node->bytes : nullptr;
  }
  void harm(const std::string& path, std::string new_bytes) {  // durably
    const auto node = find(path);
    node->bytes = node->durable_bytes = std::move(new_bytes);
    node->bytes_durable = true;
  }

  void lose_power(Random& random) {
    const auto how = static_cast<Loss>(random.below(4));
    lose(*root_,
         {how, static_cast<std::uint64_t>(random.below(static_cast<std::int64_t>(ticks_) + 1))},
         random);
  }

 private:
  struct Node;
  using NodePtr = std::shared_ptr<Node>;
  using Entries = std::map<std::string, NodePtr, std::less<>>;

  // One change of a folder's entries.
  struct Change {
    std::uint64_t at = 0;
    std::string name;
    NodePtr node;              // null: the name is removed
    std::string renamed_from;  // removed by the same change; "": nothing
  };
  struct Node {
    EntryKind kind = EntryKind::kFile;
    std::string bytes;
    std::string durable_bytes;
    bool bytes_durable = false;
    Entries entries;
    Entries durable;
    std::vector<Change> pending;
  };

  class Reader final : public ReadableFile {
   public:
    explicit Reader(NodePtr node) : node_(std::move(node)), bytes_(node_->bytes.size()) {}
    std::uint64_t size() const override { return bytes_; }
    void read_at(std::uint64_t offset, std::span<std::byte> into) const override {
      if (offset + into.size() > node_->bytes.size())
        throw Error(ErrorCode::kDamaged, "read: the file ends before");
      if (!into.empty()) std::memcpy(into.data(), node_->bytes.data() + offset, into.size());
    }

   private:
    NodePtr node_;
    std::uint64_t bytes_;
  };
  class Writer final : public WritableFile {
   public:
    explicit Writer(NodePtr node) : node_(std::move(node)) {}
    void append(std::span<const std::byte> bytes) override {
      node_->bytes.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
    void reserve(std::uint64_t bytes) override { node_->bytes.resize(bytes); }
    void write_at(std::uint64_t offset, std::span<const std::byte> bytes) override {
      node_->bytes.replace(offset, bytes.size(), reinterpret_cast<const char*>(bytes.data()),
                           bytes.size());
    }
    void finish() override {
      node_->durable_bytes = node_->bytes;
      node_->bytes_durable = true;
    }

   private:
    NodePtr node_;
  };

  enum class Loss : std::uint8_t { kNothing, kAllThatIsNotDurable, kAfterAMoment, kAnySubset };
  struct PowerCut {
    Loss loss;
    std::uint64_t moment;
  };

  [[noreturn]] static void missing(const std::string& what, const std::string& path) {
    throw Error(ErrorCode::kNotFound, what + " " + path + ": No such file or directory");
  }
  [[noreturn]] static void failed(const std::string& what, const std::string& path) {
    throw Error(ErrorCode::kIo, what + " " + path + ": it is in the way");
  }

  static NodePtr make_node(EntryKind kind) {
    auto node = std::make_shared<Node>();
    node->kind = kind;
    return node;
  }

  NodePtr find(std::string_view path) const {
    const NodePtr* node = &root_;
    while (!path.empty()) {
      path.remove_prefix(1);
      const auto name = path.substr(0, path.find('/'));
      path.remove_prefix(name.size());
      if (name.empty()) continue;
      const auto it = (*node)->entries.find(name);
      if (it == (*node)->entries.end()) return nullptr;
      node = &it->second;
    }
    return *node;
  }
  std::pair<NodePtr, std::string_view> place_of(std::string_view path) const {
    const auto slash = path.rfind('/');
    auto folder = find(path.substr(0, slash));
    if (!folder || folder->kind != EntryKind::kFolder) missing("open", std::string(path));
    return {std::move(folder), path.substr(slash + 1)};
  }

  static void apply(Entries& entries, const Change& change) {
    if (!change.renamed_from.empty()) entries.erase(change.renamed_from);
    if (change.node) {
      entries[change.name] = change.node;
    } else {
      entries.erase(change.name);
    }
  }
  static void change(Node& folder, Change change) {
    apply(folder.entries, change);
    folder.pending.push_back(std::move(change));
  }
  void enter(const std::string& path, NodePtr node) {
    const auto [folder, name] = place_of(path);
    change(*folder, {++ticks_, std::string(name), std::move(node), ""});
  }
  void remove(const std::string& path) {
    const auto [folder, name] = place_of(path);
    change(*folder, {++ticks_, std::string(name), nullptr, ""});
  }

  static bool survives(const Change& change, const PowerCut& cut, Random& random) {
    switch (cut.loss) {
      case Loss::kNothing:
        return true;
      case Loss::kAllThatIsNotDurable:
        return false;
      case Loss::kAfterAMoment:
        return change.at <= cut.moment;
      case Loss::kAnySubset:
        break;
    }
    return random.percent(50);
  }
  static void lose_bytes(Node& file, Random& random) {
    if (file.bytes_durable) return;
    switch (random.below(4)) {
      case 0:
        break;
      case 1:
        file.bytes.resize(static_cast<std::size_t>(
            random.below(static_cast<std::int64_t>(file.bytes.size()) + 1)));
        break;
      default:
        file.bytes = file.durable_bytes;
    }
    file.durable_bytes = file.bytes;
    file.bytes_durable = true;
  }
  static void lose(Node& node, const PowerCut& cut, Random& random) {
    if (node.kind == EntryKind::kFile) return lose_bytes(node, random);
    for (const auto& change : node.pending)
      if (survives(change, cut, random)) apply(node.durable, change);
    node.pending.clear();
    node.entries = node.durable;
    for (const auto& [name, entry] : node.entries)
      lose(*entry, cut, random);
  }

  NodePtr root_ = make_node(EntryKind::kFolder);
  std::uint64_t ticks_ = 0;
};

}  // namespace lockstep::testing
