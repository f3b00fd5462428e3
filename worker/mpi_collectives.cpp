#include "worker/mpi_collectives.h"

#include <algorithm>
#include <cstddef>

#include "common/partition.h"

namespace lockstep {
namespace {

// Calls `send(root, first, count)` for every rank's part in pieces of at most `limit` elements.
template <typename Send>
void for_each_piece(const Comm& comm, std::size_t elements, std::int64_t limit, Send&& send) {
  for (int root = 0; root < comm.size(); ++root) {
    const Range part =
        part_of(static_cast<std::int64_t>(elements), {.index = root, .count = comm.size()});
    for (std::int64_t done = 0; done < part.count; done += limit) {
      send(root, part.first + done, std::min(limit, part.count - done));
    }
  }
}

void reduce_sum_in_place(const Comm& comm, double* values, std::size_t count) {
  check_mpi(
      MPI_Allreduce(MPI_IN_PLACE, values, static_cast<int>(count), MPI_DOUBLE, MPI_SUM, comm.raw()),
      "MPI_Allreduce");
}

}  // namespace

std::vector<int> part_counts(std::int64_t elements, int ranks) {
  std::vector<int> counts;
  for (int rank = 0; rank < ranks; ++rank) {
    counts.push_back(static_cast<int>(part_of(elements, {.index = rank, .count = ranks}).count));
  }
  return counts;
}

void reduce_scatter(const Comm& comm, std::span<const float> all, std::span<float> own,
                    std::int64_t limit) {
  if (all.empty()) return;
  if (comm.size() == 1) {
    std::copy(all.begin(), all.end(), own.begin());
    return;
  }
  if (std::ssize(all) <= limit) {
    const auto counts = part_counts(std::ssize(all), comm.size());
    check_mpi(
        MPI_Reduce_scatter(all.data(), own.data(), counts.data(), MPI_FLOAT, MPI_SUM, comm.raw()),
        "MPI_Reduce_scatter");
    return;
  }
  const Range mine = part_of(std::ssize(all), {.index = comm.rank(), .count = comm.size()});
  for_each_piece(comm, all.size(), limit, [&](int root, std::int64_t first, std::int64_t count) {
    float* into = root == comm.rank() ? own.data() + (first - mine.first) : nullptr;
    check_mpi(MPI_Reduce(all.data() + first, into, static_cast<int>(count), MPI_FLOAT, MPI_SUM,
                         root, comm.raw()),
              "MPI_Reduce");
  });
}

void all_gather(const Comm& comm, std::span<float> all, std::int64_t limit) {
  if (all.empty() || comm.size() == 1) return;
  if (std::ssize(all) <= limit) {
    const auto counts = part_counts(std::ssize(all), comm.size());
    std::vector<int> offsets(counts.size(), 0);
    for (std::size_t i = 1; i < counts.size(); ++i)
      offsets[i] = offsets[i - 1] + counts[i - 1];
    check_mpi(MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, all.data(), counts.data(),
                             offsets.data(), MPI_FLOAT, comm.raw()),
              "MPI_Allgatherv");
    return;
  }
  for_each_piece(comm, all.size(), limit, [&](int root, std::int64_t first, std::int64_t count) {
    check_mpi(MPI_Bcast(all.data() + first, static_cast<int>(count), MPI_FLOAT, root, comm.raw()),
              "MPI_Bcast");
  });
}

void sum_over_ranks(const Comm& comm, std::span<double> values) {
  if (values.empty() || comm.size() == 1) return;
  reduce_sum_in_place(comm, values.data(), values.size());
}

void average_over_ranks(const Comm& comm, std::span<float> values) {
  if (comm.size() == 1) return;
  const auto ranks = static_cast<float>(comm.size());
  while (!values.empty()) {
    const auto piece =
        values.first(std::min(values.size(), static_cast<std::size_t>(kMessageLimit)));
    check_mpi(MPI_Allreduce(MPI_IN_PLACE, piece.data(), static_cast<int>(piece.size()), MPI_FLOAT,
                            MPI_SUM, comm.raw()),
              "MPI_Allreduce");
    for (float& value : piece)
      value /= ranks;  // not times a rounded 1 / ranks: what is equal on 3 ranks stays what it was
    values = values.subspan(piece.size());
  }
}

}  // namespace lockstep
