#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/progress_board.h"

namespace lockstep {

// What watchdogs send each other, 32 bytes a packet, little-endian:
//
//    0  4  magic "LSW", version 1
//    4  8  nonce of the job, random, known to its ranks alone
//   12  4  rank: who sends to rank 0, or whom rank 0 sends to
//   16  4  sequence: rises with each packet from one sender to one receiver, from 1
//   20  1  kind
//   21  1  phase of the sender, and 128 where it is at work of its own
//   22  2  its pace
//   24  4  what it has passed
//   28  3  its moves
//   31  1  the stop signal that it has received, 0: none
//
// Nothing is encrypted: who can read the job's network can forge, at worst an order to end. Who
// can't, can't.

enum class PacketKind : std::uint8_t {
  kBeat = 1,    // to rank 0, each heartbeat
  kAnswer = 2,  // rank 0's, to each beat
  kEnd = 3,     // rank 0's: the job hangs, end with 76
  kLeave = 4,   // either: this rank has come to its end, do not miss it
  kHung = 5,    // to rank 0: it was silent for so long that this rank ends the job
};

struct Packet {
  PacketKind kind = PacketKind::kBeat;
  std::uint32_t rank = 0;
  std::uint32_t sequence = 0;
  RankStanding standing;
  std::uint16_t pace = 0;
  std::uint8_t signal = 0;

  friend bool operator==(const Packet&, const Packet&) = default;
};

// The work of an iteration on a scale that fits: 1000 x log2 of its microseconds, 0 where there was
// none. Pure.
std::uint16_t pace_of(double seconds);
double seconds_of(std::uint16_t pace);

constexpr std::size_t kPacketBytes = 32;
using PacketBytes = std::array<std::byte, kPacketBytes>;

// Pure.
PacketBytes encode(const Packet& packet, std::uint64_t nonce);
// Pure: nullopt on anything that encode did not make with this nonce. Never allocates.
std::optional<Packet> decode(std::span<const std::byte> bytes, std::uint64_t nonce);

// Lets in what is for this rank, and nothing twice.
class PacketGate {
 public:
  // Rank 0's: beats of ranks 1 to ranks - 1. Another rank's: what rank 0 sends to `mine`.
  static PacketGate of_root(std::uint64_t nonce, std::uint32_t ranks);
  static PacketGate of_rank(std::uint64_t nonce, std::uint32_t mine);

  // nullopt: foreign, of another size, forged, replayed, or older than one that was let in. Never
  // allocates.
  std::optional<Packet> admit(std::span<const std::byte> bytes);

 private:
  PacketGate(std::uint64_t nonce, std::uint32_t first, std::uint32_t count, bool root);

  std::uint64_t nonce_;
  std::uint32_t first_;
  std::vector<std::uint32_t> newest_;  // sequence, of each rank from first_ on
  bool root_;
};

}  // namespace lockstep
