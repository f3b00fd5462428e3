#include "worker/places.h"

#include <algorithm>
#include <utility>

#include "worker/stream_copy.h"

namespace lockstep {

Places::Places(std::vector<Run> runs) : runs_(std::move(runs)) {
  std::uint64_t end = 0;
  for (const auto& run : runs_) {
    begins_.push_back(end);
    end += run.memory.size();
  }
  begins_.push_back(end);
}

std::size_t Places::run_at(std::uint64_t to) const {
  const auto behind = std::ranges::upper_bound(begins_, to);
  return static_cast<std::size_t>(behind - begins_.begin()) - 1;
}

bool Places::any_shared(std::uint64_t to, std::uint64_t bytes) const {
  for (auto run = run_at(to); run < runs_.size() && begins_[run] < to + bytes; ++run)
    if (runs_[run].shared) return true;
  return false;
}

void Places::put(std::uint64_t to, std::span<const std::byte> bytes) const {
  for (auto run = run_at(to); !bytes.empty(); ++run) {
    const auto memory = runs_.at(run).memory.subspan(to - begins_[run]);
    const auto here = bytes.first(std::min(memory.size(), bytes.size()));
    stream_copy(here, memory.data());
    bytes = bytes.subspan(here.size());
    to += here.size();
  }
}

Places places_of(const StateView& state, Share rank, std::span<const Piece> own_pieces,
                 const Selection& selection) {
  std::vector<Places::Run> runs;
  auto piece = own_pieces.begin();
  for (const auto& section : state.sections) {
    auto own = own_bytes(section, rank);
    for (bool extends = false; !own.empty(); ++piece) {
      const auto bytes = static_cast<std::size_t>(piece->count) * bytes_of(piece->dtype);
      const bool taken = is_selected(selection, piece->name);
      if (taken && !extends) runs.push_back({own.first(0), section.replicated});
      if (taken) runs.back().memory = {runs.back().memory.data(), own.data() + bytes};
      extends = taken;
      own = own.subspan(bytes);
    }
  }
  return Places(std::move(runs));
}

}  // namespace lockstep
