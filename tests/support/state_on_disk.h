#pragma once

#include <cstddef>
#include <cstring>
#include <map>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "common/digest.h"
#include "common/file_system.h"
#include "common/manifest.h"

namespace lockstep::testing {

struct WholeTensor {
  TensorInfo info;
  std::vector<std::byte> data;
};
using Sections = std::vector<std::vector<WholeTensor>>;  // each of one dtype

inline WholeTensor random_tensor(const std::string& name, Dtype dtype,
                                 const std::vector<std::int64_t>& shape) {
  WholeTensor tensor{{name, dtype, shape}, {}};
  tensor.data.resize(static_cast<std::size_t>(elements(tensor.info)) * bytes_of(dtype));
  std::mt19937_64 random(std::hash<std::string>{}(name));
  for (auto& byte : tensor.data)
    byte = static_cast<std::byte>(random());
  return tensor;
}

inline WholeTensor floats(const std::string& name, const std::vector<float>& values) {
  WholeTensor tensor{{name, Dtype::kF32, {static_cast<std::int64_t>(values.size())}}, {}};
  tensor.data.resize(values.size() * sizeof(float));
  std::memcpy(tensor.data.data(), values.data(), tensor.data.size());
  return tensor;
}

// Writes these tensors as `shards` ranks would, into a folder that it makes. Gives the manifest.
inline Manifest write_state(FileSystem& files, const std::string& folder, const CheckpointId& id,
                            const Sections& sections, std::int64_t shards) {
  Manifest manifest;
  manifest.checkpoint = id;
  manifest.world_size = shards;
  std::map<std::string, std::span<const std::byte>> data_of;
  for (const auto& section : sections) {
    PartitionSection part;
    for (const auto& tensor : section) {
      manifest.tensors.push_back(tensor.info);
      part.elements += elements(tensor.info);
      ++part.tensors;
      data_of[tensor.info.name] = tensor.data;
    }
    manifest.partition.push_back(part);
  }
  files.make_folder(folder);
  for (std::int64_t index = 0; index < shards; ++index) {
    ShardDescription shard{
        id.attempt, id.iteration, index, shards, expected_pieces(manifest, index), {}};
    std::vector<std::byte> data;
    for (const auto& piece : shard.pieces) {
      const auto width = bytes_of(piece.dtype);
      const auto part = data_of[piece.name].subspan(static_cast<std::size_t>(piece.first) * width,
                                                    static_cast<std::size_t>(piece.count) * width);
      data.insert(data.end(), part.begin(), part.end());
    }
    for (std::size_t at = 0; at < data.size(); at += kChecksumBlockBytes)
      shard.checksums.push_back(checksum64(std::span(data).subspan(
          at, std::min<std::size_t>(kChecksumBlockBytes, data.size() - at))));
    const auto head = encode_shard_header(shard);
    const auto name = shard_file({index, shards});
    const auto file = files.create(folder + "/" + name);
    file->append(std::as_bytes(std::span(head)));
    file->append(data);
    file->finish();
    manifest.shards.push_back({name, head.size() + data.size(), digest128(head)});
  }
  return manifest;
}

}  // namespace lockstep::testing
