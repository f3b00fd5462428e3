// Preloaded into a program, counts its calls of MPI that carry data, by MPI's profiling interface,
// and the bytes that this rank hands to each. MPI_Finalize writes them as JSON into
// $LOCKSTEP_MPI_COUNTS/rank<N>.json. What MPI sends for a collective call is its own affair: that
// is counted below it, by Open MPI's monitoring (messages_bench.py).

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <map>
#include <numeric>
#include <string>

#include <mpi.h>

namespace {

struct Count {
  std::int64_t calls = 0;
  std::int64_t bytes = 0;
};

// One thread alone calls MPI.
std::map<std::string, Count>& counts() {
  static std::map<std::string, Count> all;
  return all;
}

int size_of(MPI_Comm comm) {
  int size = 0;
  PMPI_Comm_size(comm, &size);
  return size;
}

void note(const char* name, std::int64_t elements, MPI_Datatype type) {
  int bytes = 0;
  PMPI_Type_size(type, &bytes);
  auto& count = counts()[name];
  count.calls += 1;
  count.bytes += elements * bytes;
}

// Of each rank's part: what all have together.
std::int64_t sum_of(const int elements[], MPI_Comm comm) {
  return std::accumulate(elements, elements + size_of(comm), std::int64_t{0});
}

void write_counts() {
  const char* folder = std::getenv("LOCKSTEP_MPI_COUNTS");  // NOLINT(concurrency-mt-unsafe)
  if (folder == nullptr) return;
  int rank = 0;
  PMPI_Comm_rank(MPI_COMM_WORLD, &rank);
  std::ofstream out(std::string(folder) + "/rank" + std::to_string(rank) + ".json");
  out << "{";
  const char* separator = "";
  for (const auto& [name, count] : counts()) {
    out << separator << '"' << name << R"(": {"calls": )" << count.calls << R"(, "bytes": )"
        << count.bytes << "}";
    separator = ", ";
  }
  out << "}\n";
}

}  // namespace

extern "C" {

int MPI_Allgather(const void* send, int send_count, MPI_Datatype send_type, void* receive,
                  int receive_count, MPI_Datatype receive_type, MPI_Comm comm) {
  note("MPI_Allgather", receive_count, receive_type);
  return PMPI_Allgather(send, send_count, send_type, receive, receive_count, receive_type, comm);
}

int MPI_Allgatherv(const void* send, int send_count, MPI_Datatype send_type, void* receive,
                   const int counts[], const int offsets[], MPI_Datatype type, MPI_Comm comm) {
  note("MPI_Allgatherv", sum_of(counts, comm), type);
  return PMPI_Allgatherv(send, send_count, send_type, receive, counts, offsets, type, comm);
}

int MPI_Allreduce(const void* send, void* receive, int count, MPI_Datatype type, MPI_Op op,
                  MPI_Comm comm) {
  note("MPI_Allreduce", count, type);
  return PMPI_Allreduce(send, receive, count, type, op, comm);
}

int MPI_Barrier(MPI_Comm comm) {
  note("MPI_Barrier", 0, MPI_BYTE);
  return PMPI_Barrier(comm);
}

int MPI_Bcast(void* buffer, int count, MPI_Datatype type, int root, MPI_Comm comm) {
  note("MPI_Bcast", count, type);
  return PMPI_Bcast(buffer, count, type, root, comm);
}

int MPI_Gather(const void* send, int send_count, MPI_Datatype send_type, void* receive,
               int receive_count, MPI_Datatype receive_type, int root, MPI_Comm comm) {
  note("MPI_Gather", send_count, send_type);
  return PMPI_Gather(send, send_count, send_type, receive, receive_count, receive_type, root, comm);
}

int MPI_Gatherv(const void* send, int send_count, MPI_Datatype send_type, void* receive,
                const int counts[], const int offsets[], MPI_Datatype receive_type, int root,
                MPI_Comm comm) {
  note("MPI_Gatherv", send_count, send_type);
  return PMPI_Gatherv(send, send_count, send_type, receive, counts, offsets, receive_type, root,
                      comm);
}

int MPI_Iallreduce(const void* send, void* receive, int count, MPI_Datatype type, MPI_Op op,
                   MPI_Comm comm, MPI_Request* request) {
  note("MPI_Iallreduce", count, type);
  return PMPI_Iallreduce(send, receive, count, type, op, comm, request);
}

int MPI_Reduce(const void* send, void* receive, int count, MPI_Datatype type, MPI_Op op, int root,
               MPI_Comm comm) {
  note("MPI_Reduce", count, type);
  return PMPI_Reduce(send, receive, count, type, op, root, comm);
}

int MPI_Reduce_scatter(const void* send, void* receive, const int counts[], MPI_Datatype type,
                       MPI_Op op, MPI_Comm comm) {
  note("MPI_Reduce_scatter", sum_of(counts, comm), type);
  return PMPI_Reduce_scatter(send, receive, counts, type, op, comm);
}

int MPI_Finalize() {
  write_counts();
  return PMPI_Finalize();
}
}
