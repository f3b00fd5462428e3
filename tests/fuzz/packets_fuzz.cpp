// UDP packets that reach a watchdog: rank 0's of five ranks, and rank 3's. Input: packets of 32
// bytes, one behind the other, the last maybe shorter. Each comes as it is, and with the job's own
// magic and nonce, which nobody guesses.

#include <algorithm>
#include <cmath>
#include <map>

#include "coordinator/watchdog/packet.h"
#include "coordinator/watchdog/rank_roll.h"
#include "coordinator/watchdog/slow_ranks.h"
#include "tests/fuzz/fuzzing.h"

namespace {

using namespace lockstep;
using namespace lockstep::fuzz;

constexpr std::uint64_t kNonce = 0x0123456789ABCDEF;
constexpr std::uint32_t kRanks = 5;
constexpr std::uint32_t kMine = 3;

// A gate, and what it has let in.
struct Gate {
  PacketGate gate;
  bool root = false;
  std::map<std::uint32_t, std::uint32_t> newest = {};  // rank -> sequence

  std::optional<Packet> admit(std::span<const std::byte> bytes) {
    std::optional<Packet> packet;
    {
      const MemoryLimit limit(memory_for(0));
      packet = gate.admit(bytes);
      require(!limit.has_taken(), "a gate allocates");
    }
    if (!packet) return packet;
    require(root ? packet->rank >= 1 && packet->rank < kRanks : packet->rank == kMine,
            "a packet of another rank is let in");
    require(packet->kind == PacketKind::kLeave ||
                root == (packet->kind == PacketKind::kBeat || packet->kind == PacketKind::kHung),
            "a packet is let in that goes the other way");
    require(packet->sequence > newest[packet->rank], "a packet is let in twice, or late");
    newest[packet->rank] = packet->sequence;
    return packet;
  }
};

struct Watchdogs {
  Gate root{PacketGate::of_root(kNonce, kRanks), true};
  Gate rank{PacketGate::of_rank(kNonce, kMine)};
  RankRoll roll{{{0, "a"}, {1, "b"}, {2, "c"}, {3, "d"}, {4, "e"}}, 0};
  SlowRanks slow{kRanks};
  double now_s = 0;

  void hear(std::span<const std::byte> bytes) {
    now_s += 1;
    rank.admit(bytes);
    if (const auto packet = root.admit(bytes)) {
      roll.hear(packet->rank, packet->standing, now_s);
      if (packet->kind == PacketKind::kLeave) roll.leave(packet->rank);
      slow.hear(packet->rank, seconds_of(packet->pace));
    }
    for (const auto& culprit : roll.judge({1, 2, 3}, slow.median(), now_s))
      require(culprit.rank > 0 && culprit.rank < static_cast<int>(kRanks) &&
                  !to_text(culprit.phase).empty(),
              "somebody is blamed who was not heard");
    for (const auto slow_rank : slow.find())
      require(slow_rank < kRanks && std::isfinite(slow.seconds(slow_rank)), "no rank is slow");
  }
};

// What is decoded is, to the byte, what encode makes of it.
void check(std::span<const std::byte> bytes) {
  std::optional<Packet> packet;
  {
    const MemoryLimit limit(memory_for(0));
    packet = decode(bytes, kNonce);
    require(!limit.has_taken(), "decode allocates");
  }
  if (!packet) return;
  const auto again = encode(*packet, kNonce);
  require(std::equal(bytes.begin(), bytes.end(), again.begin(), again.end()),
          "a packet is taken that encode does not make");
  require(pace_of(seconds_of(packet->pace)) == packet->pace, "a pace comes back as another");
  require(!decode(bytes, kNonce + 1), "a packet of another job is taken");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kOursBytes = 12;
  static const PacketBytes ours = encode({}, kNonce);
  Watchdogs as_they_are;
  Watchdogs with_nonce;
  for (auto bytes = std::as_bytes(std::span(data, size)); !bytes.empty();) {
    const auto packet = bytes.first(std::min(bytes.size(), kPacketBytes));
    bytes = bytes.subspan(packet.size());
    check(packet);
    as_they_are.hear(packet);
    std::vector<std::byte> forged(packet.begin(), packet.end());
    std::copy_n(ours.begin(), std::min(kOursBytes, forged.size()), forged.begin());
    check(forged);
    with_nonce.hear(forged);
  }
  return 0;
}
