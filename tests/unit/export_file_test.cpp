#include "coordinator/export_file.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/state_on_disk.h"
#include "tests/support/temporary_folder.h"

namespace lockstep {
namespace {

using ::testing::ElementsAre;
using testing::error_of;
using testing::Fault;
using testing::FaultFileSystem;
using ::testing::HasSubstr;
using testing::Op;
using testing::random_tensor;
using testing::Sections;
using testing::TemporaryFolder;
using testing::write_state;
namespace fs = std::filesystem;

class ExportFile : public ::testing::Test {
 protected:
  Export what(Scope scope = Scope::kFull) {
    return {folder / "c",       manifest,       tensors_to_export(manifest, scope),
            {{"format", "pt"}}, folder / "out", false};
  }
  std::string out() const { return read_small_file(*real, folder / "out"); }
  std::vector<std::string> names_there() const {
    std::vector<std::string> names;
    for (const auto& entry : real->list(folder.path()))
      if (entry.kind == EntryKind::kFile) names.push_back(entry.name);
    return names;
  }

  TemporaryFolder folder;
  std::unique_ptr<FileSystem> real = make_posix_file_system();
  FaultFileSystem files{*real};
  const Sections state = {{random_tensor("buffer.mask", Dtype::kBool, {7})},
                          {random_tensor("model.large", Dtype::kF32, {2, 700'001}),
                           random_tensor("model.scalar", Dtype::kF32, {})},
                          {random_tensor("optimizer.large.exp_avg", Dtype::kF32, {2, 700'001})},
                          {random_tensor("buffer.count", Dtype::kI64, {3})}};
  const Manifest manifest = write_state(*real, folder / "c", {3, 1200}, state, 3);
};

TEST_F(ExportFile, HoldsWholeTensorsInTheirShapesWiderOnesFirst) {
  export_file(files, what());
  const auto file = real->open(folder / "out");
  const auto header = read_safetensors_header(*file, "out");
  std::vector<std::string> order;
  for (const auto& entry : header.tensors) {
    order.push_back(entry.name);
    EXPECT_EQ((header.data_begin + entry.begin) % bytes_of(entry.dtype), 0U) << entry.name;
    for (const auto& section : state)
      for (const auto& tensor : section) {
        if (tensor.info.name != entry.name) continue;
        EXPECT_EQ(entry.shape, tensor.info.shape);
        std::vector<std::byte> data(entry.end - entry.begin);
        file->read_at(header.data_begin + entry.begin, data);
        EXPECT_EQ(data, tensor.data) << entry.name;
      }
  }
  EXPECT_THAT(order, ElementsAre("buffer.count", "model.large", "model.scalar",
                                 "optimizer.large.exp_avg", "buffer.mask"));
  EXPECT_EQ(header.metadata.at("format"), "pt");
}

TEST_F(ExportFile, ScopeModelLeavesTheOptimizerOut) {
  std::vector<std::string> names;
  for (const auto& tensor : tensors_to_export(manifest, Scope::kModel))
    names.push_back(tensor.name);
  EXPECT_THAT(names, ElementsAre("buffer.count", "model.large", "model.scalar", "buffer.mask"));
}

TEST_F(ExportFile, NeverWritesOverWhatIsThereAlsoWhereItCameMeanwhile) {
  std::ofstream(folder / "out") << "mine";
  EXPECT_THAT(error_of(ErrorCode::kInvalidConfig, [&] { export_file(files, what()); }),
              HasSubstr("is there already"));
  fs::remove(folder / "out");
  bool made = false;
  error_of(ErrorCode::kInvalidConfig, [&] {
    export_file(files, what(), [&](std::uint64_t) {
      if (!made) std::ofstream(folder / "out") << "mine";
      made = true;
    });
  });
  EXPECT_EQ(out(), "mine");
  EXPECT_THAT(names_there(), ElementsAre("out"));
}

TEST_F(ExportFile, ReplacesWhereThatIsWantedButNeverAFolder) {
  std::ofstream(folder / "out") << "mine";
  auto replacing = what();
  replacing.replace = true;
  export_file(files, replacing);
  EXPECT_GT(out().size(), 1000U);
  fs::remove(folder / "out");
  fs::create_directory(folder / "out");
  error_of(ErrorCode::kInvalidConfig, [&] { export_file(files, replacing); });
}

TEST_F(ExportFile, AfterAnyFailureThereIsNoFileAndNoTrace) {
  for (const auto op : {Op::kCreate, Op::kAppend, Op::kFinish, Op::kLink}) {
    files.fail_next(op);
    error_of(ErrorCode::kIo, [&] { export_file(files, what()); });
    EXPECT_THAT(names_there(), ElementsAre());
    files.clear();
  }
  files.fault_when(Op::kReadAt, "shard-00002", Fault::kFlipBit);
  EXPECT_THAT(error_of(ErrorCode::kDamaged, [&] { export_file(files, what()); }),
              HasSubstr("3@1200: shard 2"));
  EXPECT_THAT(names_there(), ElementsAre());
}

TEST_F(ExportFile, AFullDiskLeavesTheFileThatWasThere) {
  std::ofstream(folder / "out") << "mine";
  auto replacing = what();
  replacing.replace = true;
  files.fault_next(Op::kAppend, Fault::kHalfThenThrow, 2);
  error_of(ErrorCode::kIo, [&] { export_file(files, replacing); });
  EXPECT_EQ(out(), "mine");
  EXPECT_THAT(names_there(), ElementsAre("out"));
}

}  // namespace
}  // namespace lockstep
