#include "worker/shard_data.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>

#include "common/digest.h"
#include "worker/accelerator.h"
#include "worker/finite.h"
#include "worker/stream_copy.h"

namespace lockstep {

ShardData::ShardData(const StateView& state, Share rank) {
  for (const auto& section : state.sections) {
    const auto bytes = own_bytes(section, rank);
    parts_.push_back({section.dtype, bytes, bytes_, section.changes_in_forward, state.accelerator});
    bytes_ += bytes.size();
  }
  if (state.accelerator) state.accelerator->settle();
}

void ShardData::keep_what_forward_changes() {
  for (auto& part : parts_) {
    if (!part.changes_in_forward || part.bytes.empty()) continue;
    const auto copy = kept_.emplace_back(part.bytes.size()).all();
    for (std::size_t at = 0; at < copy.size(); at += kChecksumBlockBytes) {
      const auto some = part.bytes.subspan(at, std::min(kChecksumBlockBytes, copy.size() - at));
      if (part.accelerator) {
        const auto fetched = part.accelerator->fetch(some);
        std::ranges::copy(fetched.bytes(), &copy[at]);
      } else {
        std::memcpy(&copy[at], some.data(), some.size());
      }
    }
    part.bytes = copy;
    part.accelerator = nullptr;
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

// Whether it is finite. It may begin and end inside an element: which is looked at where it ends.
bool ShardData::copy_stretch(const Part& part, std::uint64_t from, std::uint64_t bytes,
                             std::byte* to) {
  const std::uint64_t width = lockstep::bytes_of(part.dtype);
  const auto stretch = part.bytes.subspan(from, bytes);
  if (from % width == 0 && reinterpret_cast<std::uintptr_t>(to) % width == 0)
    return stream_copy_finite(part.dtype, stretch, to);
  stream_copy(stretch, to);
  const auto first = from / width * width;
  return all_finite(part.dtype, part.bytes.subspan(first, (from + bytes) / width * width - first));
}

ShardData::Seen ShardData::copy(std::size_t block, std::span<std::byte> into) const {
  constexpr std::uint64_t kStretch = std::uint64_t{64} << 10;
  Seen seen;
  Checksum checksum;
  const auto begin = begin_of(block);
  const auto end = begin + into.size();
  for (const auto& whole : parts_) {
    auto at = std::max(begin, whole.begin);
    const auto last = std::min(end, whole.begin + whole.bytes.size());
    if (at >= last) continue;
    std::optional<Accelerator::Fetched> fetched;
    Part part = whole;
    if (whole.accelerator) {  // from where an element begins
      const auto first =
          (at - whole.begin) / lockstep::bytes_of(whole.dtype) * lockstep::bytes_of(whole.dtype);
      fetched.emplace(*whole.accelerator, whole.bytes.subspan(first, last - whole.begin - first));
      part.bytes = fetched->bytes();
      part.begin = whole.begin + first;
    }
    while (at < last) {
      const auto take = std::min(last - at, kStretch);
      const auto from = at - part.begin;  // in the part
      checksum.add(part.bytes.subspan(from, take));
      const bool finite = copy_stretch(part, from, take, &into[at - begin]);
      seen.finite = seen.finite && finite;
      at += take;
    }
  }
  seen.checksum = checksum.value();
  return seen;
}

}  // namespace lockstep
