// Every record of a store, cut at every byte and with every bit flipped: never a crash, never a
// silent choice. Either the launch is refused, or what is damaged is named by its file.

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"
#include "coordinator/launch.h"
#include "tests/support/store_builder.h"
#include "tests/support/store_on_disk.h"

namespace lockstep {
namespace {

using testing::latest;
using testing::launch_of;
using testing::StoreOnDisk;

void write_file(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

std::string flipped(std::string text, std::size_t byte, int bit) {
  text[byte] = static_cast<char>(text[byte] ^ (1 << bit));
  return text;
}

// Cut before a byte, and with each bit of it flipped.
std::vector<std::string> spoilt(const std::string& text, std::size_t byte) {
  std::vector<std::string> texts = {text.substr(0, byte)};
  for (int bit = 0; bit < 8; ++bit)
    texts.push_back(flipped(text, byte, bit));
  return texts;
}

// Attempt 1 of run `mine` has committed 10 and 20, attempt 2 went back to 1@10 and committed 15.
void fill(StoreOnDisk& disk) {
  disk.attempt("mine");
  disk.checkpoint({1, 10});
  disk.checkpoint({1, 20});
  disk.attempt("mine", CheckpointId{1, 10});
  disk.checkpoint({2, 15});
}

Decided decide_with(StoreOnDisk& disk) {
  auto launch = launch_of(latest(), "third");
  launch.store_path = disk.path();
  return look_and_try(disk.files(), launch, steady_clock(), {.ignore_running = true},
                      [](const std::string&) {});
}

std::string all_damage(const StoreView& store) {
  std::string text;
  for (const auto& attempt : store.attempts)
    for (const auto& damage : attempt.damage)
      text += std::to_string(attempt.number) + "/" + damage + "\n";
  return text;
}

// What must hold whatever was done to `file` of attempt 2.
void expect_named(StoreOnDisk& disk, const std::string& file, const std::string& how) {
  SCOPED_TRACE(file + ", " + how);
  const auto decided = decide_with(disk);
  EXPECT_THAT(all_damage(decided.store), ::testing::HasSubstr("2/" + file));
  // Its manifest still tells where it started: the choice is as if nothing were damaged.
  ASSERT_TRUE(decided.ruling.record.parent) << to_json(decided.ruling.record);
  EXPECT_EQ(decided.ruling.record.parent->checkpoint, (CheckpointId{2, 15}));
}

class RecordDamage : public ::testing::TestWithParam<const char*> {};

TEST_P(RecordDamage, IsNamedAndChangesNoChoice) {
  StoreOnDisk disk("records");
  fill(disk);
  const std::string file = GetParam();
  const auto path = attempt_path(disk.path(), 2) + "/" + file;
  const auto text = read_small_file(disk.files(), path);
  for (std::size_t i = 0; i < text.size(); ++i) {
    write_file(path, text.substr(0, i));
    expect_named(disk, file, "cut at " + std::to_string(i));
    for (int bit = 0; bit < 8; ++bit) {
      write_file(path, flipped(text, i, bit));
      expect_named(disk, file, "bit flipped in byte " + std::to_string(i));
    }
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Records, RecordDamage,
                         ::testing::Values("claim.json", "decision.json", "outcome.json"));

TEST(RecordDamage, AManifestIsADamagedCheckpointAndNamed) {
  StoreOnDisk disk("records");
  fill(disk);
  const auto path = checkpoint_path(disk.path(), {2, 15}) + "/manifest.json";
  const auto text = read_small_file(disk.files(), path);
  for (std::size_t i = 0; i < text.size(); ++i) {
    for (const auto& bad : spoilt(text, i)) {
      write_file(path, bad);
      const auto record = decide_with(disk).ruling.record;
      ASSERT_EQ(record.rejected.size(), 1U) << i;
      EXPECT_EQ(record.rejected[0].checkpoint, (CheckpointId{2, 15}));
      ASSERT_TRUE(record.parent);
      EXPECT_EQ(record.parent->checkpoint, (CheckpointId{1, 10})) << "of its lineage, not 1@20";
    }
  }
}

TEST(RecordDamage, AStoreWithoutItsRecordIsRefused) {
  StoreOnDisk disk("records");
  fill(disk);
  const auto path = store_file(disk.path());
  const auto text = read_small_file(disk.files(), path);
  for (std::size_t i = 0; i < text.size(); ++i) {
    for (const auto& bad : spoilt(text, i)) {
      write_file(path, bad);
      try {
        decide_with(disk);
        ADD_FAILURE() << "accepted, byte " << i;
      } catch (const Error& e) {
        EXPECT_EQ(exit_code(e.code()), 2) << e.what();
        EXPECT_THAT(e.what(), ::testing::HasSubstr("store.json"));
      }
    }
  }
}

}  // namespace
}  // namespace lockstep
