#include "worker/shard_data.h"

#include <algorithm>
#include <cstring>

#include "common/digest.h"
#include "worker/finite.h"

namespace lockstep {

ShardData::ShardData(const StateView& state, Share rank) {
  for (const auto& section : state.sections) {
    const auto bytes = own_bytes(section, rank);
    parts_.push_back({section.dtype, bytes, bytes_, section.changes_in_forward});
    bytes_ += bytes.size();
  }
}

void ShardData::keep_what_forward_changes() {
  for (auto& part : parts_) {
    if (!part.changes_in_forward || part.bytes.empty()) continue;
    const auto copy = kept_.emplace_back(part.bytes.size()).all();
    std::memcpy(copy.data(), part.bytes.data(), copy.size());
    part.bytes = copy;
  }
}

std::size_t ShardData::blocks() const {
  return (bytes_ + kChecksumBlockBytes - 1) / kChecksumBlockBytes;
}

std::uint64_t ShardData::begin_of(std::size_t block) const {
  return block * kChecksumBlockBytes;
}

std::size_t ShardData::bytes_of(std::size_t block) const {
  return std::min(kChecksumBlockBytes, bytes_ - begin_of(block));
}

ShardData::Seen ShardData::copy(std::size_t block, std::span<std::byte> into) const {
  constexpr std::uint64_t kStretch = std::uint64_t{256} << 10;
  Seen seen;
  Checksum checksum;
  const auto begin = begin_of(block);
  const auto end = begin + into.size();
  for (const auto& part : parts_) {
    const auto last = std::min(end, part.begin + part.bytes.size());
    for (auto at = std::max(begin, part.begin); at < last;) {
      const auto take = std::min(last - at, kStretch);
      const auto from = at - part.begin;  // in the part
      const auto copy = into.subspan(at - begin, take);
      std::memcpy(copy.data(), &part.bytes[from], take);
      checksum.add(copy);
      // A stretch may end inside an element, which is then looked at with the next one.
      const std::uint64_t width = lockstep::bytes_of(part.dtype);
      const auto first = from / width * width;
      const auto whole = part.bytes.subspan(first, (from + take) / width * width - first);
      seen.finite = seen.finite && all_finite(part.dtype, whole);
      at += take;
    }
  }
  seen.checksum = checksum.value();
  return seen;
}

}  // namespace lockstep
