// A safetensors header and what a shard says in it. Input: 8 bytes, little-endian: how much of the
// file is not here, so that a header can speak of data that no input need hold; then its beginning.

#include <algorithm>
#include <cstring>
#include <set>

#include "common/digest.h"
#include "common/safetensors.h"
#include "tests/fuzz/fuzzing.h"

namespace {

using namespace lockstep;
using namespace lockstep::fuzz;

class MemoryFile : public ReadableFile {
 public:
  explicit MemoryFile(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::uint64_t size() const override { return bytes_.size(); }
  void read_at(std::uint64_t offset, std::span<std::byte> into) const override {
    require(offset <= bytes_.size() && into.size() <= bytes_.size() - offset,
            "reads beyond the file's end");
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), into.size(), into.begin());
  }

 private:
  std::span<const std::byte> bytes_;
};

bool same(const TensorEntry& a, const TensorEntry& b) {
  return a.name == b.name && a.dtype == b.dtype && a.shape == b.shape && a.begin == b.begin &&
         a.end == b.end;
}

bool same(const SafetensorsHeader& a, const SafetensorsHeader& b) {
  return a.metadata == b.metadata && a.data_bytes == b.data_bytes &&
         std::equal(a.tensors.begin(), a.tensors.end(), b.tensors.begin(), b.tensors.end(),
                    [](const auto& x, const auto& y) { return same(x, y); });
}

bool same(const ShardDescription& a, const ShardDescription& b) {
  const auto same_piece = [](const Piece& x, const Piece& y) {
    return x.name == y.name && x.dtype == y.dtype && x.first == y.first && x.count == y.count;
  };
  return a.attempt == b.attempt && a.iteration == b.iteration && a.index == b.index &&
         a.count == b.count && a.checksums == b.checksums &&
         std::equal(a.pieces.begin(), a.pieces.end(), b.pieces.begin(), b.pieces.end(), same_piece);
}

void check(const SafetensorsHeader& header, std::span<const std::byte> head,
           std::uint64_t file_bytes) {
  require(header.data_begin <= head.size() && header.data_begin + header.data_bytes == file_bytes,
          "the data is not what of the file is behind the header");
  require(header.digest == digest128(head.first(header.data_begin)), "not the header's digest");
  std::set<std::string_view> names;
  std::uint64_t end = 0;
  for (const auto& tensor : header.tensors) {
    const auto elements = elements_of(tensor.shape);
    require(is_tensor_name(tensor.name) && names.insert(tensor.name).second, "a bad name is taken");
    require(tensor.begin == end && tensor.end >= tensor.begin, "a hole or an overlap is taken");
    require(elements && (tensor.end - tensor.begin) / bytes_of(tensor.dtype) ==
                            static_cast<std::uint64_t>(*elements),
            "a shape is taken that does not fit its bytes");
    end = tensor.end;
  }
  require(end == header.data_bytes, "the tensors do not end where the file does");
}

SafetensorsHeader parse(std::string_view head, std::uint64_t data_bytes) {
  return parse_safetensors_header(std::as_bytes(std::span(head)), head.size() + data_bytes, kWhat);
}

void check_shard(const SafetensorsHeader& header, std::size_t size) {
  const auto shard = accepted(ErrorCode::kDamaged, memory_for(size),
                              [&] { return describe_shard(header, kWhat); });
  if (!shard) return;
  require(shard->pieces.size() == header.tensors.size(), "pieces and tensors differ");
  for (std::size_t i = 0; i < shard->pieces.size(); ++i) {
    const auto& piece = shard->pieces[i];
    require(piece.first >= 0 && piece.count > 0 && piece.first <= INT64_MAX - piece.count,
            "a piece is no range");
    require(header.tensors[i].shape == std::vector{piece.count}, "a piece of another shape");
  }
  const auto again = parse(encode_shard_header(*shard), header.data_bytes);
  require(same(describe_shard(again, kWhat), *shard), "a shard's header comes back as another");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::uint64_t absent = 0;
  if (size < sizeof absent) return 0;
  std::memcpy(&absent, data, sizeof absent);
  const auto head = std::as_bytes(std::span(data, size)).subspan(sizeof absent);

  const auto in_memory = accepted(ErrorCode::kDamaged, memory_for(size),
                                  [&] { return read_safetensors_header(MemoryFile(head), kWhat); });
  if (in_memory) check(*in_memory, head, head.size());

  if (absent > UINT64_MAX - head.size()) return 0;
  const auto header = accepted(ErrorCode::kDamaged, memory_for(size), [&] {
    return parse_safetensors_header(head, head.size() + absent, kWhat);
  });
  if (!header) return 0;
  check(*header, head, head.size() + absent);
  auto tensors = header->tensors;
  const auto again =
      parse(encode_safetensors_header(tensors, header->metadata, 1), header->data_bytes);
  require(same(again, *header), "a header comes back as another");
  check_shard(*header, size);
  return 0;
}
