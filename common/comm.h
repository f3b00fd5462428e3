#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <mpi.h>

namespace lockstep {

// Owns one duplicated communicator whose errors return instead of aborting. Move-only.
class Comm {
 public:
  // Collective over `parent`.
  static Comm duplicate(MPI_Comm parent);

  Comm(const Comm&) = delete;
  Comm& operator=(const Comm&) = delete;
  Comm(Comm&& other) noexcept;
  Comm& operator=(Comm&& other) noexcept;
  ~Comm();

  int rank() const noexcept { return rank_; }
  int size() const noexcept { return size_; }
  bool is_root() const noexcept { return rank_ == 0; }
  MPI_Comm raw() const noexcept { return comm_; }

 private:
  explicit Comm(MPI_Comm owned);
  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = 0;
  int size_ = 1;
};

// Throws MpiError naming `call` unless rc is MPI_SUCCESS.
void check_mpi(int rc, const char* call);

// Collective. From rank 0. Bytes above INT_MAX are sent in chunks.
void broadcast_bytes(const Comm& comm, std::span<std::byte> bytes);

// Collective. Every rank's text, in rank order, on rank 0; empty elsewhere. Two gathers.
std::vector<std::string> gather_texts(const Comm& comm, const std::string& mine);

void barrier(const Comm& comm);  // collective

// Local: "Open MPI 4.1.4"; legal before MPI_Init. What other libraries say of themselves is cut at
// its first comma.
std::string mpi_library();
// Local: whether MPI lets the process have other threads, none of which calls it.
bool mpi_allows_threads();

}  // namespace lockstep
