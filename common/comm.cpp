#include "common/comm.h"

#include <algorithm>
#include <array>
#include <numeric>
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

std::vector<std::string> gather_texts(const Comm& comm, const std::string& mine) {
  const auto ranks = comm.is_root() ? static_cast<std::size_t>(comm.size()) : 0;
  const auto own = static_cast<int>(mine.size());
  std::vector<int> sizes(ranks);
  check_mpi(MPI_Gather(&own, 1, MPI_INT, sizes.data(), 1, MPI_INT, 0, comm.raw()), "MPI_Gather");
  std::vector<int> places(ranks);
  std::exclusive_scan(sizes.begin(), sizes.end(), places.begin(), 0);
  std::string all(comm.is_root() ? static_cast<std::size_t>(places.back() + sizes.back()) : 0,
                  '\0');
  check_mpi(MPI_Gatherv(mine.data(), own, MPI_CHAR, all.data(), sizes.data(), places.data(),
                        MPI_CHAR, 0, comm.raw()),
            "MPI_Gatherv");
  std::vector<std::string> texts;
  for (std::size_t rank = 0; rank < ranks; ++rank)
    texts.push_back(
        all.substr(static_cast<std::size_t>(places[rank]), static_cast<std::size_t>(sizes[rank])));
  return texts;
}

void barrier(const Comm& comm) {
  check_mpi(MPI_Barrier(comm.raw()), "MPI_Barrier");
}

std::string mpi_library() {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
  int length = 0;
  check_mpi(MPI_Get_library_version(text.data(), &length), "MPI_Get_library_version");
  std::string name(text.data(), static_cast<std::size_t>(length));
  name.erase(std::min(name.find(','), name.size()));
  if (const auto at = name.find("Open MPI v"); at == 0) name.erase(9, 1);
  return name;
}

bool mpi_allows_threads() {
  int provided = MPI_THREAD_SINGLE;
  check_mpi(MPI_Query_thread(&provided), "MPI_Query_thread");
  return provided >= MPI_THREAD_FUNNELED;
}

}  // namespace lockstep
