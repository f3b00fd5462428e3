#include "tests/support/memory_file_system.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lockstep {
namespace {

using lockstep::testing::MemoryFileSystem;
using lockstep::testing::Random;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> names(const MemoryFileSystem& files, const std::string& folder) {
  std::vector<std::string> found;
  for (const auto& entry : files.list(folder))
    found.push_back(entry.name);
  return found;
}

void write(MemoryFileSystem& files, const std::string& path, const std::string& text, bool finish) {
  const auto file = files.create(path);
  file->append(std::as_bytes(std::span(text)));
  if (finish) file->finish();
}

TEST(MemoryFileSystem, DoesWhatTheRealOneDoes) {
  MemoryFileSystem files("/f");
  EXPECT_TRUE(files.claim_folder("/f/a"));
  EXPECT_FALSE(files.claim_folder("/f/a"));
  files.make_folder("/f/a");
  write(files, "/f/a/x", "12", true);
  EXPECT_THROW(files.create("/f/a/x"), Error);
  EXPECT_TRUE(files.link("/f/a/x", "/f/a/y"));
  EXPECT_FALSE(files.link("/f/a/x", "/f/a/y"));
  files.rename("/f/a/y", "/f/a/z");
  files.unlink("/f/a/not there");
  EXPECT_THAT(names(files, "/f/a"), ElementsAre("x", "z"));
  EXPECT_THROW(files.remove_folder("/f/a"), Error);
  EXPECT_THROW(files.rename("/f/a/y", "/f/a/z"), Error);
  EXPECT_THROW(files.list("/f/b"), Error);
  EXPECT_EQ(read_small_file(files, "/f/a/z"), "12");
  files.rename("/f/a", "/f/b");
  EXPECT_THAT(names(files, "/f/b"), ElementsAre("x", "z"));
}

TEST(MemoryFileSystem, WhatIsDurableSurvivesEveryPowerCut) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    MemoryFileSystem files("/f");
    files.claim_folder("/f/a");
    files.sync_folder("/f");
    write_durably(files, "/f/a/x", "12");
    Random random(seed);
    files.lose_power(random);
    EXPECT_EQ(read_small_file(files, "/f/a/x"), "12");
  }
}

TEST(MemoryFileSystem, WhatIsNotMayBeLostInEveryWay) {
  std::set<std::vector<std::string>> seen;
  std::set<std::string> contents;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    MemoryFileSystem files("/f");
    write(files, "/f/old", "1234", false);
    write(files, "/f/gone", "", true);
    files.sync_folder("/f");
    files.unlink("/f/gone");
    files.rename("/f/old", "/f/new");
    Random random(seed);
    files.lose_power(random);
    seen.insert(names(files, "/f"));
    for (const auto* path : {"/f/old", "/f/new"})
      if (files.bytes(path)) contents.insert(*files.bytes(path));
  }
  EXPECT_THAT(
      seen, ::testing::UnorderedElementsAre(ElementsAre("gone", "old"), ElementsAre("gone", "new"),
                                            ElementsAre("old"), ElementsAre("new")));
  EXPECT_THAT(contents, ::testing::IsSupersetOf({"", "12", "1234"}));
}

}  // namespace
}  // namespace lockstep
