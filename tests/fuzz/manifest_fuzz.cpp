// manifest.json, and the spreading of tensors over shards that it describes.

#include <algorithm>

#include "common/manifest.h"
#include "common/names.h"
#include "coordinator/weights_index.h"
#include "tests/fuzz/fuzzing.h"

namespace {

using namespace lockstep;
using namespace lockstep::fuzz;

std::optional<Manifest> manifest_of(std::string_view text) {
  const auto id = accepted(
      ErrorCode::kDamaged, memory_for(text.size()), [&] { return checkpoint_of_manifest(text); },
      "manifest.json");
  if (!id) return std::nullopt;
  return accepted(ErrorCode::kDamaged, memory_for(text.size()),
                  [&] { return parse_manifest(text, *id, kWhat); });
}

// Each element of each tensor is in exactly one shard.
void check_partition(const Manifest& manifest) {
  constexpr std::size_t kMost = 4096;  // pieces: time, not memory, is what they would take
  if (manifest.shards.size() * manifest.tensors.size() > kMost) return;
  std::map<std::string, std::int64_t> ends;
  for (std::int64_t index = 0; index < manifest.world_size; ++index) {
    for (const Piece& piece : expected_pieces(manifest, index)) {
      require(piece.count > 0 && piece.first == ends[piece.name], "shards overlap or leave a hole");
      ends[piece.name] += piece.count;
    }
  }
  for (const TensorInfo& tensor : manifest.tensors)
    require(ends[tensor.name] == elements(tensor), "a tensor is not in its shards, whole");
}

void check(std::string_view text) {
  const auto manifest = manifest_of(text);
  if (!manifest) return;
  require(std::in_range<std::int64_t>(data_bytes(manifest->tensors)), "the data is beyond 2^63");
  const auto written = encode_manifest(*manifest);
  require_said(text, written);
  const auto again = manifest_of(written);
  require(again && encode_manifest(*again) == written, "a manifest comes back as another");
  check_partition(*manifest);
  auto other = manifest->checkpoint;
  other.iteration ^= 1;
  require(!accepted(ErrorCode::kDamaged, memory_for(text.size()),
                    [&] { return parse_manifest(text, other, kWhat); }),
          "a manifest is taken for another checkpoint's");
  require_sealed(text, [](std::string_view changed) { return manifest_of(changed).has_value(); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = text_of(data, size);
  check(text);
  if (const auto sealed = resealed(text)) check(*sealed);
  return 0;
}
