// Loading weights that others wrote, and a part of a checkpoint.

#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/file_system.h"
#include "common/safetensors.h"
#include "tests/support/checkpoint_site.h"

namespace lockstep {
namespace {

using testing::agreed_failure;
using ::testing::HasSubstr;
using testing::saved_layout;
using testing::SectionPlan;
using testing::share_of;
using testing::Site;
using testing::TestState;

const CheckpointId kId{3, 1200};

std::string bare(const std::string& name) {
  return name.substr(name.find('.') + 1);
}

class WeightsTest : public ::testing::Test {
 protected:
  Comm world = Comm::duplicate(MPI_COMM_WORLD);
  std::unique_ptr<FileSystem> files = make_posix_file_system();

  // Writes on rank 0 what `plans` hold with seed 1, but for optimizer state, into two files; gives
  // what every rank then knows of them.
  Weights write(const Site& site, const std::vector<SectionPlan>& plans, bool bare_names) {
    Weights weights;
    std::vector<std::vector<TensorEntry>> entries(2);
    std::vector<std::vector<std::byte>> data(2);
    TestState whole(plans, {0, 1}, 1);
    for (std::size_t s = 0; s < plans.size(); ++s) {
      std::size_t at = 0;
      for (const auto& tensor : plans[s].tensors) {
        const auto bytes = static_cast<std::size_t>(elements(tensor)) * bytes_of(tensor.dtype);
        const auto from = at;
        at += bytes;
        if (tensor.name.starts_with("optimizer.")) continue;
        const auto name = bare_names ? bare(tensor.name) : tensor.name;
        entries[s % 2].push_back({name, tensor.dtype, tensor.shape, 0, 0});
        const auto& flat = whole.bytes()[s];
        data[s % 2].insert(data[s % 2].end(), flat.begin() + static_cast<std::ptrdiff_t>(from),
                           flat.begin() + static_cast<std::ptrdiff_t>(at));
      }
    }
    for (std::size_t f = 0; f < 2; ++f) {
      const auto path = site.store + "/" + std::to_string(f) + ".safetensors";
      const auto head = encode_safetensors_header(entries[f], {}, 8);
      if (world.is_root()) {
        const auto file = files->create(path);
        file->append(std::as_bytes(std::span(head)));
        file->append(data[f]);
        file->finish();
      }
      testing::wait_for_all(world);
      const auto file = files->open(path);
      const auto header = read_safetensors_header(*file, path);
      weights.files.push_back({path, file->size(), header.digest});
      for (const auto& entry : header.tensors)
        weights.tensors.push_back(
            {{entry.name, entry.dtype, entry.shape}, f, header.data_begin + entry.begin});
    }
    testing::wait_for_all(world);  // before anybody changes a file
    return parse_weights(encode(weights));
  }

  void load(const Weights& weights, const Selection& selection, TestState& state) {
    Arena staging;
    load_weights(world, *files, "w", weights, selection, state.view(), staging);
  }
};

void write_at(const std::string& path, std::uint64_t place, const std::string& bytes) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(place));
  file << bytes;
}

// Bytes of sections whose tensors are the model's are those of seed 1, all else as before.
void expect_model_loaded(const TestState& state, Share share) {
  const auto loaded = TestState(saved_layout(), share, 1).bytes();
  const auto before = TestState(saved_layout(), share, 2).bytes();
  const auto plans = saved_layout();
  for (std::size_t s = 0; s < plans.size(); ++s) {
    const bool optimizer = plans[s].tensors.front().name.starts_with("optimizer.");
    EXPECT_EQ(state.bytes()[s], optimizer ? before[s] : loaded[s]) << s;
  }
}

TEST_F(WeightsTest, FillTheModelAndNothingElseWhicheverNamesTheyBear) {
  for (const bool bare_names : {false, true}) {
    const Site site(world, "weights");
    const auto weights = write(site, saved_layout(), bare_names);
    TestState state(saved_layout(), share_of(world), 2);
    load(weights, {true, {}}, state);
    expect_model_loaded(state, share_of(world));
  }
}

TEST_F(WeightsTest, MisfitsAreListedInBothDirectionsUnlessExcluded) {
  const Site site(world, "misfit-weights");
  auto plans = saved_layout();
  plans[1].tensors[1].name = "model.other";
  plans[2].tensors[0].shape = {2, 5};
  const auto weights = write(site, plans, true);
  TestState state(saved_layout(), share_of(world), 2);
  const auto before = state.bytes();
  const auto failure = agreed_failure(world, [&] { load(weights, {true, {"no.such*"}}, state); });
  EXPECT_EQ(failure.code, ErrorCode::kMismatch);
  EXPECT_EQ(failure.text,
            "compare tensors: rank 0: w does not fit the model:\n"
            "  model.bias: F32 [2, 5] in the file, F32 [10] in the model\n"
            "  model.fc: in the model, not in the file\n"
            "  model.other: in the file, not in the model\n"
            "  restore.exclude: 'no.such*' matches no tensor of w; they are named such as "
            "buffer.count\n"
            "what should not be loaded can be named in restore.exclude");
  EXPECT_EQ(state.bytes(), before);
  load(weights, {true, {"bias", "model.fc", "other"}}, state);
  const auto unread = TestState(saved_layout(), share_of(world), 2).bytes();
  EXPECT_EQ(state.bytes()[0], TestState(saved_layout(), share_of(world), 1).bytes()[0]);
  EXPECT_NE(state.bytes()[1], unread[1]) << "model.conv is loaded";
  EXPECT_EQ(state.bytes()[2], unread[2]) << "model.bias is excluded, model.none is empty";
}

TEST_F(WeightsTest, AFileThatChangedSinceIsDamageOnAllRanksAlike) {
  const Site site(world, "changed-weights");
  const auto weights = write(site, saved_layout(), false);
  if (world.is_root()) std::filesystem::resize_file(weights.files[1].path, 200);
  testing::wait_for_all(world);
  TestState state(saved_layout(), share_of(world), 2);
  const auto before = state.bytes();
  const auto failure = agreed_failure(world, [&] { load(weights, {true, {}}, state); });
  EXPECT_EQ(failure.code, ErrorCode::kDamaged) << failure.text;
  EXPECT_EQ(state.bytes(), before);
}

TEST_F(WeightsTest, NotANumberInAParameterIsAMisfitAndInABufferIsNot) {
  for (const std::string name : {"model.bias", "buffer.mean"}) {
    const Site site(world, "nan-weights");
    const auto weights = write(site, saved_layout(), false);
    for (const auto& one : weights.tensors)
      if (one.tensor.name == name && world.is_root())
        write_at(weights.files[one.file].path, one.begin, std::string(4, '\xff'));
    testing::wait_for_all(world);
    TestState state(saved_layout(), share_of(world), 2);
    const auto before = state.bytes();
    if (name == "buffer.mean") {
      load(weights, {true, {}}, state);
      continue;
    }
    const auto failure = agreed_failure(world, [&] { load(weights, {true, {}}, state); });
    EXPECT_EQ(failure.code, ErrorCode::kMismatch);
    EXPECT_THAT(failure.text, HasSubstr("model.bias holds NaN or Inf"));
    EXPECT_EQ(state.bytes(), before);
  }
}

TEST_F(WeightsTest, APartOfACheckpoint) {
  const Site site(world, "part");
  TestState saved(saved_layout(), share_of(world), 1);
  site.save(world, *files, kId, saved);
  const auto load_part = [&](const Selection& selection, TestState& state) {
    load_checkpoint(world, *files, site.path(kId), site.manifest(kId), selection, state.view());
  };
  TestState state(saved_layout(), share_of(world), 2);
  load_part({true, {}}, state);
  expect_model_loaded(state, share_of(world));

  TestState other(saved_layout(), share_of(world), 2);
  load_part({false, {"fc"}}, other);
  const auto full = TestState(saved_layout(), share_of(world), 1).bytes();
  const auto unread = TestState(saved_layout(), share_of(world), 2).bytes();
  for (const std::size_t section : {0U, 2U, 3U, 5U})
    EXPECT_EQ(other.bytes()[section], full[section]) << section;
  const std::size_t conv = 4UL * 4 * 3 * 3;
  EXPECT_TRUE(std::equal(full[1].begin(), full[1].begin() + conv, other.bytes()[1].begin()));
  EXPECT_TRUE(
      std::equal(unread[1].begin() + conv, unread[1].end(), other.bytes()[1].begin() + conv));
  const auto failure = agreed_failure(world, [&] { load_part({false, {"zz"}}, other); });
  EXPECT_THAT(failure.text, HasSubstr("rank 0: restore.exclude: 'zz' matches no tensor"));
}

}  // namespace
}  // namespace lockstep
