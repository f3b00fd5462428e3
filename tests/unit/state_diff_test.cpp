#include "coordinator/state_diff.h"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/expect_error.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/state_on_disk.h"
#include "tests/support/temporary_folder.h"

namespace lockstep {
namespace {

using ::testing::ElementsAre;
using testing::Fault;
using testing::FaultFileSystem;
using testing::floats;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Op;
using testing::random_tensor;
using testing::Sections;
using testing::TemporaryFolder;
using testing::write_state;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

Sections state_of(const std::vector<float>& values) {
  return {{random_tensor("model.large", Dtype::kF32, {3, 700'001}), floats("model.few", values)},
          {random_tensor("buffer.count", Dtype::kI64, {5})}};
}

class Diff : public ::testing::Test {
 protected:
  StateDiff diff(const Sections& a, std::int64_t shards_a, const Sections& b,
                 std::int64_t shards_b) {
    ++made;
    const auto folder_a = folder / (std::to_string(made) + "a");
    const auto folder_b = folder / (std::to_string(made) + "b");
    const auto manifest_a = write_state(files, folder_a, {1, 10}, a, shards_a);
    const auto manifest_b = write_state(files, folder_b, {2, 10}, b, shards_b);
    return diff_states(files, {folder_a, manifest_a}, {folder_b, manifest_b});
  }

  TemporaryFolder folder;
  std::unique_ptr<FileSystem> real = make_posix_file_system();
  FaultFileSystem files{*real};
  int made = 0;
};

TEST_F(Diff, StatesAreTheSameWhateverTheRanksAndTheOrderThatTheyWereWrittenIn) {
  const auto a = state_of({1, 2, kNan});
  auto b = a;
  std::swap(b[0][0], b[0][1]);
  std::swap(b[0], b[1]);
  const auto found = diff(a, 1, b, 3);
  EXPECT_TRUE(found.same_state());
  EXPECT_EQ(found.compared, 3);
}

TEST_F(Diff, CountsElementsThatDifferInAnyBitAndTheLargestDifference) {
  const auto found = diff(state_of({1, 2, 0.0F, kNan, 5}), 2, state_of({1, 4.5, -0.0F, 3, 5}), 3);
  ASSERT_EQ(found.contents.size(), 1U);
  EXPECT_EQ(found.contents[0].name, "model.few");
  EXPECT_EQ(found.contents[0].elements, 5);
  EXPECT_EQ(found.contents[0].different, 3) << "0 and -0 have other bits";
  EXPECT_EQ(found.contents[0].largest, 2.5);
  EXPECT_EQ(found.contents[0].not_numbers, 1);
  EXPECT_FALSE(found.same_state());
}

TEST_F(Diff, FindsABitBehindTheFirstBlockAndInIntegers) {
  const auto a = state_of({1});
  auto b = a;
  b[0][0].data.back() ^= std::byte{1};
  b[1][0].data[9] ^= std::byte{128};
  const auto found = diff(a, 2, b, 2);
  ASSERT_EQ(found.contents.size(), 2U);
  EXPECT_EQ(found.contents[0].different, 1);
  EXPECT_EQ(found.contents[1].name, "buffer.count");
  EXPECT_EQ(found.contents[1].different, 1);
  EXPECT_FALSE(found.contents[1].largest.has_value());
}

TEST_F(Diff, NamesTensorsThatOnlyOneHasOrOfAnotherForm) {
  auto a = state_of({1, 2});
  auto b = a;
  a[0].push_back(floats("model.old", {1}));
  b[0].push_back(floats("model.new", {1}));
  b[0][1].info.shape = {2, 1};
  EXPECT_THAT(diff(a, 2, b, 2).shapes, ElementsAre(Difference{"model.few", "F32 [2]", "F32 [2, 1]"},
                                                   Difference{"model.new", "absent", "F32 [1]"},
                                                   Difference{"model.old", "F32 [1]", "absent"}));
}

TEST_F(Diff, DamageIsAnErrorNeverADifference) {
  files.fault_when(Op::kReadAt, "b/shard-00001", Fault::kFlipBit);
  const auto a = state_of({1});
  EXPECT_THAT(testing::error_of(ErrorCode::kDamaged, [&] { diff(a, 2, a, 2); }),
              HasSubstr("2@10: shard 1"));
}

TEST(CompareManifests, IterationAndDataPositionAreStateTheConfigurationIsBesideIt) {
  Manifest a;
  a.checkpoint = {1, 10};
  a.data = {120, 1000, "d"};
  a.config = R"({"checkpoint":{"keep_last":3},"run":{"id":"x"}})";
  auto b = a;
  b.checkpoint = {7, 10};
  EXPECT_TRUE(compare_manifests(a, b).same_state()) << "the attempt is no state";
  b.config = R"({"checkpoint":{"keep_last":4,"keep_every":5},"run":{"id":"x"}})";
  const auto configured = compare_manifests(a, b);
  EXPECT_TRUE(configured.same_state());
  EXPECT_THAT(configured.config, ElementsAre(Difference{"checkpoint.keep_every", "absent", "5"},
                                             Difference{"checkpoint.keep_last", "3", "4"}));
  b = a;
  b.checkpoint.iteration = 11;
  EXPECT_THAT(compare_manifests(a, b).facts, ElementsAre(Difference{"iteration", "10", "11"}));
  b = a;
  b.data.position = 132;
  EXPECT_FALSE(compare_manifests(a, b).same_state());
  b = a;
  b.data.digest = "other";
  EXPECT_FALSE(compare_manifests(a, b).same_state());
  EXPECT_THAT(compare_manifests(a, b).config, IsEmpty());
}

}  // namespace
}  // namespace lockstep
