// How large the texts of a checkpoint become, and what it takes to read them. FORMAT.md has the
// figures; build/release/tests/worker_tests --gtest_filter='FormatSizes.*' prints them.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/config.h"
#include "common/digest.h"
#include "common/manifest.h"
#include "common/names.h"
#include "common/safetensors.h"
#include "worker/state.h"

namespace lockstep {
namespace {

constexpr CheckpointId kId{.attempt = 7, .iteration = 120'000};

// A transformer's: weights and Adam's two moments, a third of the tensors each.
StateView transformer(int tensors, std::int64_t rows) {
  const std::vector<std::string> parts{"attention.query",   "attention.key",   "attention.value",
                                       "attention.output",  "feed_forward.up", "feed_forward.down",
                                       "feed_forward.gate", "attention_norm",  "feed_forward_norm"};
  StateView state;
  for (const auto* kind : {"", ".exp_avg", ".exp_avg_sq"}) {
    StateSection section;
    const bool parameters = *kind == '\0';
    const auto count = tensors / 3 + (parameters ? tensors % 3 : 0);
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i)
      section.tensors.push_back({(parameters ? "model" : "optimizer") + std::string(".layers.") +
                                     std::to_string(i / parts.size()) + '.' +
                                     parts[i % parts.size()] + ".weight" + kind,
                                 Dtype::kF32,
                                 {rows, 4096}});
    section.elements = count * rows * 4096;
    state.sections.push_back(section);
  }
  return state;
}

std::string header_of(const Manifest& manifest, std::int64_t index) {
  ShardDescription shard{.attempt = kId.attempt,
                         .iteration = kId.iteration,
                         .index = index,
                         .count = manifest.world_size,
                         .pieces = expected_pieces(manifest, index),
                         .checksums = {}};
  std::uint64_t bytes = 0;
  for (const auto& piece : shard.pieces)
    bytes += static_cast<std::uint64_t>(piece.count) * bytes_of(piece.dtype);
  for (std::uint64_t at = 0; at < bytes; at += kChecksumBlockBytes)
    shard.checksums.push_back(hash128(std::to_string(at)).low);
  return encode_shard_header(shard);
}

Manifest manifest_of(const StateView& state, std::int64_t world_size) {
  Manifest manifest;
  manifest.checkpoint = kId;
  describe_state(state, world_size, manifest);
  const auto data = data_bytes(manifest.tensors) / static_cast<std::uint64_t>(world_size);
  for (std::int64_t i = 0; i < world_size; ++i) {
    const auto file = shard_file({i, world_size});
    manifest.shards.push_back({file, data + kDataAlignment, digest128(file)});
  }
  manifest.parent = {.checkpoint = {.attempt = 6, .iteration = 110'000}, .store = std::nullopt};
  manifest.data = {.position = 123'456'789, .length = 60'000'000, .digest = digest128("data")};
  manifest.metrics = {{"accuracy", 0.9228}, {"loss", 0.21864426956176758}};
  manifest.config = canonical_json(Config{});
  manifest.run = "slurm-4242_7";
  manifest.created = "2026-11-25T12:03:15Z";
  manifest.environment = {{"build", "0.1.0 70677566908a73b3"},
                          {"collectives", "mpi"},
                          {"processor", "AMD EPYC"},
                          {"threads", "8"}};
  return manifest;
}

// How much more memory a process has at most while it does this.
std::uint64_t peak_bytes(const std::function<void()>& work) {
  ::malloc_trim(0);  // or it would use what this process has freed
  const auto kibibytes = [](const std::function<void()>& done) {
    const auto child = ::fork();
    if (child == 0) {
      done();
      ::_exit(0);
    }
    int status = -1;
    rusage used{};
    EXPECT_EQ(::wait4(child, &status, 0, &used), child);
    EXPECT_EQ(status, 0);
    return used.ru_maxrss;
  };
  const auto idle = kibibytes([] {});
  return static_cast<std::uint64_t>(std::max(0L, kibibytes(work) - idle)) * 1024;
}

struct Sizes {
  std::uint64_t manifest = 0;
  std::uint64_t header = 0;  // the largest of a few shards
};

Sizes print_sizes(int tensors, std::int64_t rows, std::int64_t world_size) {
  const auto manifest = manifest_of(transformer(tensors, rows), world_size);
  const auto text = encode_manifest(manifest);
  Sizes sizes{.manifest = text.size(), .header = 0};
  for (const std::int64_t index : {std::int64_t{0}, world_size / 2, world_size - 1})
    sizes.header = std::max<std::uint64_t>(sizes.header, header_of(manifest, index).size());
  const auto peak = peak_bytes([&] { parse_manifest(text, kId, "m"); });
  std::printf(
      "{\"tensors\": %d, \"ranks\": %lld, \"data_bytes\": %llu, \"manifest_bytes\": %llu, "
      "\"header_bytes\": %llu, \"peak_bytes_of_parsing\": %llu}\n",
      tensors, static_cast<long long>(world_size),
      static_cast<unsigned long long>(data_bytes(manifest.tensors)),
      static_cast<unsigned long long>(sizes.manifest),
      static_cast<unsigned long long>(sizes.header), static_cast<unsigned long long>(peak));
  std::fflush(stdout);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they keep what is freed
  EXPECT_LE(peak, 16 * sizes.manifest);
#endif
  EXPECT_EQ(encode_manifest(parse_manifest(text, kId, "m")), text);
  return sizes;
}

TEST(FormatSizes, TwelveThousandTensorsOnTwoRanks) {
  const auto sizes = print_sizes(12'000, 4, 2);
  EXPECT_LE(sizes.manifest, 4U << 20U);
  EXPECT_LE(sizes.header, 4U << 20U);
}

TEST(FormatSizes, AThousandTensorsOnSixteenThousandRanks) {
  const auto sizes = print_sizes(1'000, 4096, 16'384);
  EXPECT_LE(sizes.manifest, 4U << 20U);
  EXPECT_LE(sizes.header, 64U << 10U);
}

}  // namespace
}  // namespace lockstep
