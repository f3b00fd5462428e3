#include "coordinator/tensor_reader.h"

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

using testing::Fault;
using testing::FaultFileSystem;
using ::testing::HasSubstr;
using testing::Op;
using testing::random_tensor;
using testing::Sections;
using testing::TemporaryFolder;
using testing::write_state;

using Bytes = std::vector<std::byte>;

// More than a block, several dtypes, a scalar, an empty tensor, and one smaller than the ranks.
Sections mixed_state() {
  return {{random_tensor("model.large", Dtype::kF32, {1500, 1001}),
           random_tensor("model.small", Dtype::kF32, {3})},
          {random_tensor("buffer.count", Dtype::kI64, {}),
           random_tensor("buffer.none", Dtype::kI64, {0, 4})},
          {random_tensor("buffer.mask", Dtype::kBool, {7})}};
}

Bytes whole(TensorReader& reader, const TensorInfo& tensor, std::uint64_t limit) {
  Bytes all;
  for_each_piece(tensor, limit, [&](const Piece& piece) {
    Bytes part(static_cast<std::size_t>(piece.count) * bytes_of(piece.dtype));
    reader.read(piece, part);
    all.insert(all.end(), part.begin(), part.end());
  });
  return all;
}

class ReadTensors : public ::testing::Test {
 protected:
  TemporaryFolder folder;
  std::unique_ptr<FileSystem> real = make_posix_file_system();
  FaultFileSystem files{*real};
  const Sections state = mixed_state();
};

TEST_F(ReadTensors, GivesWholeTensorsWhateverTheNumberOfShardsAndTheSizeOfPieces) {
  for (const std::int64_t shards : {1, 2, 3, 7}) {
    const auto path = folder / ("of" + std::to_string(shards));
    const auto manifest = write_state(files, path, {1, 10}, state, shards);
    TensorReader reader(files, path, manifest);
    for (const auto limit : {std::uint64_t{8}, std::uint64_t{1} << 20U, kChecksumBlockBytes}) {
      for (const auto& section : state)
        for (const auto& tensor : section) {
          if (limit == 8 && tensor.data.size() > 100) continue;
          EXPECT_EQ(whole(reader, tensor.info, limit), tensor.data)
              << tensor.info.name << " of " << shards << " shards, " << limit;
        }
    }
  }
}

TEST_F(ReadTensors, KeepsFewShardsOpenAndReadsABlockOnceForNeighbouringPieces) {
  const auto manifest = write_state(files, folder / "c", {1, 10}, state, 2);
  TensorReader reader(files, folder / "c", manifest);
  const auto before = files.calls(Op::kReadAt);
  EXPECT_EQ(whole(reader, manifest.tensors[0], 1U << 16U), state[0][0].data);
  EXPECT_EQ(files.calls(Op::kOpen), 2);
  // Of each shard: its header, and the one block that holds its whole half.
  EXPECT_EQ(files.calls(Op::kReadAt) - before, 4);
}

TEST_F(ReadTensors, NamesTheShardThatIsDamagedAndNeverGivesItsBytes) {
  const auto manifest = write_state(files, folder / "c", {1, 10}, state, 2);
  files.fault_when(Op::kReadAt, "shard-00001-of", Fault::kFlipBit);
  TensorReader reader(files, folder / "c", manifest);
  const auto why = testing::error_of(
      ErrorCode::kDamaged, [&] { whole(reader, manifest.tensors[0], kChecksumBlockBytes); });
  EXPECT_THAT(why, HasSubstr("1@10: shard 1: "));
}

TEST_F(ReadTensors, WhatCantBeReadIsTriedAgainWithAFreshLook) {
  const auto manifest = write_state(files, folder / "c", {1, 10}, state, 2);
  TensorReader reader(files, folder / "c", manifest);
  files.fail_next(Op::kReadAt, ErrorCode::kIo, 4);
  EXPECT_EQ(whole(reader, manifest.tensors[0], kChecksumBlockBytes), state[0][0].data);
  EXPECT_EQ(files.calls(Op::kOpen), 3);
  files.fail_when(Op::kOpen, "shard-00001");
  TensorReader other(files, folder / "c", manifest);
  testing::error_of(ErrorCode::kIo, [&] { whole(other, manifest.tensors[0], 1U << 20U); });
}

}  // namespace
}  // namespace lockstep
