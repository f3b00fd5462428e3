#include "worker/region_sum.h"

#include <algorithm>
#include <functional>

#include "common/partition.h"
#include "worker/mpi_collectives.h"

namespace lockstep {
namespace {

bool goes_direct(std::int64_t all, int ranks) {
  return ranks <= RegionSum::kMostDirectRanks && all <= RegionSum::kMostDirectElements;
}

// Calls `message(first, count)` for what travels in one message each.
template <typename Message>
void for_each_message(std::span<float> values, Message&& message) {
  while (!values.empty()) {
    const auto now = values.first(std::min(values.size(), static_cast<std::size_t>(kMessageLimit)));
    message(now.data(), static_cast<int>(now.size()));
    values = values.subspan(now.size());
  }
}

std::span<float> part_of_rank(std::span<float> all, int rank, int ranks) {
  const auto part = part_of(std::ssize(all), {.index = rank, .count = ranks});
  return all.subspan(static_cast<std::size_t>(part.first), static_cast<std::size_t>(part.count));
}

}  // namespace

std::int64_t RegionSum::scratch_elements(std::int64_t all, int ranks) {
  return goes_direct(all, ranks) ? (all + ranks - 1) / ranks * (ranks - 1) : 0;
}

RegionSum::RegionSum(const Comm& comm, const Memory& memory, int tag)
    : comm_(&comm), memory_(memory), tag_(tag) {
  if (goes_direct(std::ssize(memory.all), comm.size())) {
    start_direct();
  } else {
    start_collective();
  }
}

void RegionSum::start_direct() {
  const int me = comm_->rank();
  const int ranks = comm_->size();
  for (int peer = 0; peer < ranks; ++peer) {
    if (peer == me) continue;
    for_each_message(received(peer), [&](float* first, int count) {
      check_mpi(
          MPI_Irecv(first, count, MPI_FLOAT, peer, tag_, comm_->raw(), &requests_.emplace_back()),
          "MPI_Irecv");
    });
  }
  for (int step = 1; step < ranks; ++step) {
    const int peer = (me + step) % ranks;  // not all to the same one at once
    for_each_message(part_of_rank(memory_.all, peer, ranks), [&](const float* first, int count) {
      check_mpi(
          MPI_Isend(first, count, MPI_FLOAT, peer, tag_, comm_->raw(), &requests_.emplace_back()),
          "MPI_Isend");
    });
  }
}

void RegionSum::start_collective() {
  if (std::ssize(memory_.all) > kMessageLimit) {
    reduce_scatter(*comm_, memory_.all, memory_.own);
    return;
  }
  counts_ = part_counts(std::ssize(memory_.all), comm_->size());
  check_mpi(MPI_Ireduce_scatter(memory_.all.data(), memory_.own.data(), counts_.data(), MPI_FLOAT,
                                MPI_SUM, comm_->raw(), &requests_.emplace_back()),
            "MPI_Ireduce_scatter");
}

bool RegionSum::there() {
  int all = 0;
  check_mpi(
      MPI_Testall(static_cast<int>(requests_.size()), requests_.data(), &all, MPI_STATUSES_IGNORE),
      "MPI_Testall");
  if (all != 0) add_up();
  return all != 0;
}

void RegionSum::wait() {
  check_mpi(MPI_Waitall(static_cast<int>(requests_.size()), requests_.data(), MPI_STATUSES_IGNORE),
            "MPI_Waitall");
  add_up();
}

void RegionSum::add_up() {
  if (!goes_direct(std::ssize(memory_.all), comm_->size())) return;
  const auto own = memory_.own;
  for (int rank = 0; rank < comm_->size(); ++rank) {
    const std::span<const float> values =
        rank == comm_->rank() ? part_of_rank(memory_.all, rank, comm_->size()) : received(rank);
    if (rank == 0) {
      std::ranges::copy(values, own.begin());
    } else {
      std::ranges::transform(own, values, own.begin(), std::plus{});
    }
  }
}

std::span<float> RegionSum::received(int rank) const {
  const auto place = static_cast<std::size_t>(rank < comm_->rank() ? rank : rank - 1);
  return memory_.scratch.subspan(place * memory_.own.size(), memory_.own.size());
}

}  // namespace lockstep
