#include "common/agree.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "common/failure.h"

namespace lockstep::internal {

// An MpiError passes: the communicator can't be trusted to carry an agreement.
Outcome describe(const std::exception_ptr& error) {
  auto text = failure_text(error);
  return {failure_code(error), std::move(text)};
}

namespace {

std::string broadcast_string(const Comm& comm, int root, std::string text) {
  auto size = static_cast<std::uint64_t>(text.size());
  check_mpi(MPI_Bcast(&size, 1, MPI_UINT64_T, root, comm.raw()), "MPI_Bcast");
  text.resize(size);
  check_mpi(MPI_Bcast(text.data(), static_cast<int>(size), MPI_CHAR, root, comm.raw()),
            "MPI_Bcast");
  return text;
}

}  // namespace

void throw_if_any_failed(const Comm& comm, std::string_view phase, const Outcome& mine) {
  const bool failed = mine.code != ErrorCode::kOk;
  int first = failed ? comm.rank() : comm.size();
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, &first, 1, MPI_INT, MPI_MIN, comm.raw()), "MPI_Allreduce");
  if (first == comm.size()) return;

  int code = static_cast<int>(mine.code);
  check_mpi(MPI_Bcast(&code, 1, MPI_INT, first, comm.raw()), "MPI_Bcast");
  const auto what = broadcast_string(comm, first, mine.what);
  throw AgreedError(static_cast<ErrorCode>(code), first, std::string(phase), what);
}

namespace {

// Of fixed size, and with the first bytes of the body: one message for most of what is decided,
// since a second one costs every rank another wake-up. Small enough to be sent at once, without a
// handshake.
struct Header {
  std::int64_t code = 0;
  std::uint64_t bytes = 0;  // of the whole body
  std::array<char, 2032> begin{};
};
static_assert(sizeof(Header) == 2048);

}  // namespace

std::string broadcast_outcome(const Comm& comm, std::string_view phase, const Outcome& root,
                              const std::string& payload) {
  const bool ok = root.code == ErrorCode::kOk;
  std::string body = ok ? payload : root.what;
  Header header;
  header.code = static_cast<std::int64_t>(root.code);
  header.bytes = body.size();
  std::copy_n(body.begin(), std::min(body.size(), header.begin.size()), header.begin.begin());
  broadcast_bytes(comm, std::as_writable_bytes(std::span(&header, 1)));
  body.resize(header.bytes);
  const auto there = std::min(body.size(), header.begin.size());
  std::copy_n(header.begin.begin(), there, body.begin());
  broadcast_bytes(comm, std::as_writable_bytes(std::span(body).subspan(there)));
  const auto code = static_cast<ErrorCode>(header.code);
  if (code != ErrorCode::kOk) throw AgreedError(code, 0, std::string(phase), body);
  return body;
}

}  // namespace lockstep::internal

namespace lockstep {

namespace {

// What `answer` is of differs somewhere: says where.
[[noreturn]] void throw_differing(const Comm& comm, const Answer& answer) {
  Hash128 root = answer.mine;
  check_mpi(MPI_Bcast(&root, 2, MPI_UINT64_T, 0, comm.raw()), "MPI_Bcast");
  const int differs = root == answer.mine ? 0 : 1;
  std::vector<int> by_rank(static_cast<std::size_t>(comm.size()));
  check_mpi(MPI_Allgather(&differs, 1, MPI_INT, by_rank.data(), 1, MPI_INT, comm.raw()),
            "MPI_Allgather");
  // A cluster's user looks for hosts, not for ranks.
  using Name = std::array<char, MPI_MAX_PROCESSOR_NAME>;
  Name name{};
  int length = 0;
  check_mpi(MPI_Get_processor_name(name.data(), &length), "MPI_Get_processor_name");
  std::vector<Name> names(by_rank.size());
  check_mpi(MPI_Allgather(name.data(), static_cast<int>(name.size()), MPI_CHAR, names.data(),
                          static_cast<int>(name.size()), MPI_CHAR, comm.raw()),
            "MPI_Allgather");
  // The lowest rank is named in front of the cause.
  int lowest = -1;
  std::string cause = "differs from rank 0's, on host ";
  const char* before = ", and on rank ";
  for (int r = 0; r < comm.size(); ++r) {
    if (by_rank[static_cast<std::size_t>(r)] == 0) continue;
    const std::string host = names[static_cast<std::size_t>(r)].data();
    if (lowest < 0) {
      lowest = r;
      cause += host;
    } else {
      cause += before + std::to_string(r) + " (" + host + ")";
      before = ", ";
    }
  }
  if (!answer.advice.empty()) cause += ": " + std::string(answer.advice);
  throw AgreedError(ErrorCode::kMismatch, lowest, std::string(answer.phase), cause);
}

}  // namespace

void require_same(const Comm& comm, std::initializer_list<Answer> answers) {
  // Largest and smallest of each word in one reduction: the smallest is the largest complement.
  static_assert(sizeof(Hash128) == 2 * sizeof(std::uint64_t));
  std::vector<Hash128> largest;
  largest.reserve(2 * answers.size());
  for (const auto& answer : answers) {
    largest.push_back(answer.mine);
    largest.push_back({~answer.mine.high, ~answer.mine.low});
  }
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, largest.data(), static_cast<int>(2 * largest.size()),
                          MPI_UINT64_T, MPI_MAX, comm.raw()),
            "MPI_Allreduce");
  std::size_t at = 0;
  for (const auto& answer : answers) {
    const auto& most = largest[at];
    const auto& complement = largest[at + 1];
    if (most.high != ~complement.high || most.low != ~complement.low) throw_differing(comm, answer);
    at += 2;
  }
}

}  // namespace lockstep
