#include "worker/spread.h"

#include <algorithm>

#include <mpi.h>

#include "common/partition.h"

namespace lockstep {

namespace {

void gather_everywhere(const Comm& comm, const Elements& elements, MPI_Datatype element) {
  std::vector<int> counts;
  std::vector<int> begins;
  for (int rank = 0; rank < comm.size(); ++rank) {
    const auto part = part_of(elements.count, {rank, comm.size()});
    counts.push_back(static_cast<int>(part.count));
    begins.push_back(static_cast<int>(part.first));
  }
  check_mpi(MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, elements.data, counts.data(),
                           begins.data(), element, comm.raw()),
            "MPI_Allgatherv");
}

void broadcast_each(const Comm& comm, const Elements& elements, MPI_Datatype element,
                    std::int64_t chunk) {
  for (int rank = 0; rank < comm.size(); ++rank) {
    const auto part = part_of(elements.count, {rank, comm.size()});
    for (auto at = part.first; at < part.end(); at += chunk) {
      const auto count = static_cast<int>(std::min(chunk, part.end() - at));
      auto* const begin = elements.data + static_cast<std::size_t>(at) * elements.width;
      check_mpi(MPI_Bcast(begin, count, element, rank, comm.raw()), "MPI_Bcast");
    }
  }
}

}  // namespace

void spread_parts(const Comm& comm, const Elements& elements, std::int64_t chunk) {
  if (comm.size() == 1 || elements.count == 0) return;
  MPI_Datatype element = MPI_DATATYPE_NULL;
  check_mpi(MPI_Type_contiguous(static_cast<int>(elements.width), MPI_BYTE, &element),
            "MPI_Type_contiguous");
  check_mpi(MPI_Type_commit(&element), "MPI_Type_commit");
  if (elements.count <= chunk) {
    gather_everywhere(comm, elements, element);
  } else {
    broadcast_each(comm, elements, element, chunk);
  }
  check_mpi(MPI_Type_free(&element), "MPI_Type_free");
}

std::vector<std::byte> gather_records(const Comm& comm, std::span<const std::byte> mine) {
  std::vector<std::byte> all(comm.is_root() ? mine.size() * static_cast<std::size_t>(comm.size())
                                            : 0);
  const auto bytes = static_cast<int>(mine.size());
  check_mpi(MPI_Gather(mine.data(), bytes, MPI_BYTE, all.data(), bytes, MPI_BYTE, 0, comm.raw()),
            "MPI_Gather");
  return all;
}

}  // namespace lockstep
