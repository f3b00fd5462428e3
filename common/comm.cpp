#include "common/comm.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "common/error.h"

namespace lockstep {

void check_mpi(int rc, const char* call) {
  if (rc == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(rc, text.data(), &length);
  throw MpiError(std::string(call) + ": " +
                 std::string(text.data(), static_cast<std::size_t>(length)));
}

Comm::Comm(MPI_Comm owned) : comm_(owned) {
  check_mpi(MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  check_mpi(MPI_Comm_rank(comm_, &rank_), "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(comm_, &size_), "MPI_Comm_size");
}

Comm Comm::duplicate(MPI_Comm parent) {
  MPI_Comm copy = MPI_COMM_NULL;
  check_mpi(MPI_Comm_dup(parent, &copy), "MPI_Comm_dup");
  return Comm(copy);
}

Comm::Comm(Comm&& other) noexcept
    : comm_(std::exchange(other.comm_, MPI_COMM_NULL)), rank_(other.rank_), size_(other.size_) {}

Comm& Comm::operator=(Comm&& other) noexcept {
  std::swap(comm_, other.comm_);
  std::swap(rank_, other.rank_);
  std::swap(size_, other.size_);
  return *this;
}

Comm::~Comm() {
  if (comm_ == MPI_COMM_NULL) return;
  int finalized = 0;
  MPI_Finalized(&finalized);
  if (finalized == 0) MPI_Comm_free(&comm_);
}

void broadcast_bytes(const Comm& comm, std::span<std::byte> bytes) {
  constexpr std::size_t kChunk = std::size_t{1} << 30;
  while (!bytes.empty()) {
    const auto count = std::min(bytes.size(), kChunk);
    check_mpi(MPI_Bcast(bytes.data(), static_cast<int>(count), MPI_BYTE, 0, comm.raw()),
              "MPI_Bcast");
    bytes = bytes.subspan(count);
  }
}

std::vector<std::string> gather_names(const Comm& comm, const std::string& mine) {
  constexpr int kBytes = 64;
  std::array<char, kBytes> own{};
  mine.copy(own.data(), kBytes - 1);
  std::vector<char> all(comm.is_root() ? static_cast<std::size_t>(kBytes) *
                                             static_cast<std::size_t>(comm.size())
                                       : 0);
  check_mpi(MPI_Gather(own.data(), kBytes, MPI_CHAR, all.data(), kBytes, MPI_CHAR, 0, comm.raw()),
            "MPI_Gather");
  std::vector<std::string> names;
  for (std::size_t at = 0; at < all.size(); at += kBytes)
    names.emplace_back(&all[at]);
  return names;
}

void barrier(const Comm& comm) {
  check_mpi(MPI_Barrier(comm.raw()), "MPI_Barrier");
}

}  // namespace lockstep
