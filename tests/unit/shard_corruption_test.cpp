// Thousands of damages of a store of two shards, each of several blocks and a short last one: the
// load refuses every one, or gives the very bytes that were saved by a manifest that says the same.

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "common/digest.h"
#include "common/error.h"
#include "common/names.h"
#include "tests/support/random.h"
#include "tests/support/staged.h"
#include "tests/support/temporary_folder.h"
#include "worker/shard_writer.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

using testing::Random;
using testing::read_staged;
using testing::TemporaryFolder;

constexpr std::int64_t kShards = 2;
constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr std::size_t kBlock = kChecksumBlockBytes;
const CheckpointId kId{3, 1200};

std::string contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void put(const std::string& path, std::string_view text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

void put_at(const std::string& path, std::size_t at, std::string_view text) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(at)).write(text.data(), std::ssize(text));
}

// Another value of a byte: one bit differs, or any.
char changed(char byte, Random& random) {
  if (random.percent(50)) return static_cast<char>(byte ^ (1 << random.below(8)));
  return static_cast<char>(byte ^ (1 + random.below(255)));
}

enum class Outcome { kRefused, kEqual, kOther };

// A checkpoint on disk, of two shards: an odd byte each, so that elements lie across the borders of
// blocks, then 9 MiB and some more of F32.
class Checkpoint {
 public:
  static constexpr std::size_t kDataBytes = 1 + 9 * kMiB + 777 * sizeof(float);

  explicit Checkpoint(std::string folder, const CheckpointId& id = kId, std::uint64_t seed = 1)
      : folder_(std::move(folder)) {
    fs::create_directories(folder_);
    Random random(seed);
    for (auto& element : floats_)
      element = static_cast<float>(random.below(1'000'000));
    Manifest manifest;
    manifest.checkpoint = id;
    manifest.run = "r";
    manifest.created = "2026-01-01T00:00:00Z";
    describe_state(view(), kShards, manifest);
    for (std::int64_t i = 0; i < kShards; ++i) {
      const auto receipt = write_shard(*files_, folder_, manifest, view(), {i, kShards});
      manifest.shards.push_back({shard_file({i, kShards}), receipt.bytes, receipt.header_digest});
      shards_.push_back(contents(path(i)));
    }
    manifest_ = encode_manifest(manifest);
    put(manifest_path(), manifest_);
  }

  std::string path(std::int64_t shard) const {
    return folder_ + "/" + shard_file({shard, kShards});
  }
  std::string manifest_path() const { return folder_ + "/manifest.json"; }
  // As it was written.
  const std::string& shard(std::int64_t index) const {
    return shards_[static_cast<std::size_t>(index)];
  }
  const std::string& manifest() const { return manifest_; }
  std::size_t data_begin() const { return shards_[0].size() - kDataBytes; }

  // As a rank loads: the manifest, and then what it wants of the shards.
  Outcome load(const std::vector<Piece>& wanted = all_pieces()) const {
    try {
      const auto manifest = parse_manifest(contents(manifest_path()), kId, "manifest");
      const auto pages = read_staged(*files_, folder_, manifest, plan_reads(manifest, wanted));
      const bool same = encode_manifest(manifest) == manifest_ && is_as_saved(pages, wanted);
      return same ? Outcome::kEqual : Outcome::kOther;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kDamaged) << e.what();
      return Outcome::kRefused;
    }
  }

  static std::vector<Piece> all_pieces() {
    return {{"buffer.odd", Dtype::kU8, 0, kShards}, {"model.w", Dtype::kF32, 0, kElements}};
  }
  // The element that holds a byte of a shard's data: its block alone is read.
  static std::vector<Piece> element_at(std::int64_t shard, std::size_t byte) {
    if (byte == 0) return {{"buffer.odd", Dtype::kU8, shard, 1}};
    const auto element = static_cast<std::int64_t>((byte - 1) / sizeof(float));
    return {{"model.w", Dtype::kF32, shard * kElements / kShards + element, 1}};
  }

 private:
  static constexpr std::int64_t kElements =
      kShards * static_cast<std::int64_t>((kDataBytes - 1) / sizeof(float));

  bool is_as_saved(const Pages& pages, const std::vector<Piece>& pieces) const {
    std::size_t at = 0;
    for (const Piece& piece : pieces) {
      const auto first = static_cast<std::size_t>(piece.first);
      const void* saved = &odd_[0];
      if (piece.dtype == Dtype::kF32) saved = &floats_[first];
      if (piece.dtype == Dtype::kU8) saved = &odd_[first];
      const auto bytes = static_cast<std::size_t>(piece.count) * bytes_of(piece.dtype);
      if (std::memcmp(&pages.all()[at], saved, bytes) != 0) return false;
      at += bytes;
    }
    return true;
  }

  StateView view() {
    auto* const floats = reinterpret_cast<std::byte*>(floats_.data());
    return {{{{{"buffer.odd", Dtype::kU8, {kShards}}}, Dtype::kU8, kShards, true, odd_.data()},
             {{{"model.w", Dtype::kF32, {kElements}}}, Dtype::kF32, kElements, true, floats}}};
  }

  std::string folder_;
  std::unique_ptr<FileSystem> files_ = make_posix_file_system();
  std::vector<std::byte> odd_{std::byte{42}, std::byte{43}};
  std::vector<float> floats_ = std::vector<float>(kElements);
  std::vector<std::string> shards_;
  std::string manifest_;
};

class ShardCorruption : public ::testing::Test {
 protected:
  void TearDown() override {
    EXPECT_EQ(good.load(), Outcome::kEqual) << "what was put right is not";
    std::cout << "damages:";
    for (const auto& [what, count] : tried)
      std::cout << " " << count << " " << what << ";";
    std::cout << " accepted " << accepted << ", harmless " << harmless << "\n";
    EXPECT_EQ(accepted, 0);
    EXPECT_EQ(harmless, 0);
  }

  void expect_refused(const std::string& kind, const std::string& damage, Outcome outcome) {
    ++tried[kind];
    if (outcome == Outcome::kOther) ++accepted;
    if (outcome == Outcome::kEqual) ++harmless;
    EXPECT_EQ(outcome, Outcome::kRefused) << kind << ": " << damage;
  }

  // A shard's file with other contents; put right again.
  void expect_refused_with(const std::string& kind, const std::string& damage, std::int64_t shard,
                           std::string_view bytes) {
    put(good.path(shard), bytes);
    expect_refused(kind, damage, good.load());
    put(good.path(shard), good.shard(shard));
  }

  TemporaryFolder folder;
  Checkpoint good{folder / "good"};
  std::map<std::string, int> tried;
  int accepted = 0;
  int harmless = 0;
};

TEST_F(ShardCorruption, CutAtEachBorderAndWithinTheHeader) {
  const auto begin = good.data_begin();
  std::vector<std::size_t> lengths = {0, 1, 7, 8, 9, 100, begin / 2, good.shard(0).size() - 1};
  for (auto at = begin; at < good.shard(0).size(); at += kChecksumBlockBytes)
    lengths.insert(lengths.end(), {at - 1, at, at + 1});
  EXPECT_EQ(lengths.size(), 8 + 3 * 3U);
  for (std::int64_t i = 0; i < kShards; ++i)
    for (const auto length : lengths) {
      fs::resize_file(good.path(i), length);
      expect_refused("cut", "shard to " + std::to_string(length), good.load());
      put(good.path(i), good.shard(i));
    }
  for (std::size_t length = 0; length < good.manifest().size(); ++length) {
    put(good.manifest_path(), good.manifest().substr(0, length));
    expect_refused("cut", "manifest to " + std::to_string(length), good.load());
  }
  put(good.manifest_path(), good.manifest());
}

TEST_F(ShardCorruption, LongerThanTheyWere) {
  for (const std::size_t more : {std::size_t{1}, std::size_t{4096}, kBlock})
    for (const char fill : {'\0', 'x', '\n'}) {
      for (std::int64_t i = 0; i < kShards; ++i)
        expect_refused_with("longer", "shard by " + std::to_string(more), i,
                            good.shard(i) + std::string(more, fill));
      put(good.manifest_path(), good.manifest() + std::string(more, fill));
      expect_refused("longer", "manifest by " + std::to_string(more), good.load());
    }
  put(good.manifest_path(), good.manifest());
}

TEST_F(ShardCorruption, TenThousandBytesAtRandom) {
  Random random(20260101);
  const auto changed_at = [&](const std::string& path, const std::string& text, std::size_t at,
                              const std::string& kind, const std::vector<Piece>& wanted) {
    put_at(path, at, std::string(1, changed(text[at], random)));
    expect_refused(kind, path + " byte " + std::to_string(at), good.load(wanted));
    put_at(path, at, text.substr(at, 1));
  };
  const auto below = [&](std::size_t n) {
    return static_cast<std::size_t>(random.below(static_cast<std::int64_t>(n)));
  };
  // A load of all that there is takes its time: of most the element there is loaded, with its
  // block.
  constexpr int kWhole = 50;
  for (int i = 0; i < 4000; ++i)
    changed_at(good.manifest_path(), good.manifest(), below(good.manifest().size()),
               "bytes of the manifest", Checkpoint::element_at(i % kShards, 0));
  for (int i = 0; i < 6000; ++i) {
    const bool in_data = i % 3 == 0;
    const auto shard = random.below(kShards);
    const auto byte = below(in_data ? Checkpoint::kDataBytes : good.data_begin());
    changed_at(
        good.path(shard), good.shard(shard), byte + (in_data ? good.data_begin() : 0),
        in_data ? "bytes of data" : "bytes of headers",
        i < kWhole ? Checkpoint::all_pieces() : Checkpoint::element_at(shard, in_data ? byte : 0));
  }
}

TEST_F(ShardCorruption, BlocksThatAreZeroOrHolesOrElsewhere) {
  const auto begin = good.data_begin();
  for (std::int64_t i = 0; i < kShards; ++i) {
    const auto& text = good.shard(i);
    for (auto at = begin; at < text.size(); at += kBlock) {
      const auto bytes = std::min(kBlock, text.size() - at);
      auto zeroed = text;
      zeroed.replace(at, bytes, bytes, '\0');
      expect_refused_with("zeroed", "block at " + std::to_string(at), i, zeroed);
      fs::resize_file(good.path(i), at);
      fs::resize_file(good.path(i), text.size());
      put_at(good.path(i), at + bytes, std::string_view(text).substr(at + bytes));
      expect_refused("holes", "block at " + std::to_string(at), good.load());
      put(good.path(i), text);
    }
    expect_refused_with("zeroed", "header", i, std::string(begin, '\0') + text.substr(begin));
    auto exchanged = text;
    exchanged.replace(begin, kBlock, text, begin + kBlock, kBlock);
    exchanged.replace(begin + kBlock, kBlock, text, begin, kBlock);
    expect_refused_with("exchanged blocks", "of one shard", i, exchanged);
    const auto& other = good.shard(1 - i);
    expect_refused_with("exchanged blocks", "of two shards", i,
                        text.substr(0, begin) + other.substr(begin));
  }
}

TEST_F(ShardCorruption, ShardsThatBelongElsewhere) {
  ASSERT_EQ(good.shard(0).size(), good.shard(1).size());
  fs::rename(good.path(0), folder / "aside");
  fs::rename(good.path(1), good.path(0));
  fs::rename(folder / "aside", good.path(1));
  expect_refused("elsewhere", "two shards that changed places", good.load());
  for (std::int64_t i = 0; i < kShards; ++i)
    put(good.path(i), good.shard(i));
  const std::vector<std::pair<std::string, Checkpoint>> others = [&] {
    std::vector<std::pair<std::string, Checkpoint>> made;
    made.emplace_back("of another iteration", Checkpoint(folder / "a", {3, 1000}, 1));
    made.emplace_back("of another attempt", Checkpoint(folder / "b", {2, 1200}, 1));
    made.emplace_back("of another store", Checkpoint(folder / "c", kId, 2));
    return made;
  }();
  for (const auto& [whose, other] : others) {
    for (std::int64_t i = 0; i < kShards; ++i) {
      ASSERT_EQ(other.shard(i).size(), good.shard(i).size());
      expect_refused_with("elsewhere", whose, i, other.shard(i));
      // Under the header of the one the data of the other, where they differ.
      const auto begin = good.data_begin();
      expect_refused_with("elsewhere", "header " + whose, i,
                          other.shard(i).substr(0, begin) + good.shard(i).substr(begin));
      if (other.shard(i).substr(begin) != good.shard(i).substr(begin))
        expect_refused_with("elsewhere", "data " + whose, i,
                            good.shard(i).substr(0, begin) + other.shard(i).substr(begin));
    }
    put(good.manifest_path(), other.manifest());
    expect_refused("elsewhere", "manifest " + whose, good.load());
    put(good.manifest_path(), good.manifest());
  }
}

}  // namespace
}  // namespace lockstep
