#include "coordinator/watchdog/packet.h"

#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>

namespace lockstep {
namespace {

constexpr std::uint32_t kMagic = 0x0157534C;  // "LSW", 1
constexpr std::size_t kNonceAt = 4;
constexpr std::size_t kRankAt = 12;
constexpr std::size_t kSequenceAt = 16;
constexpr std::size_t kKindAt = 20;
constexpr std::size_t kPhaseAt = 21;
constexpr std::size_t kPaceAt = 22;
constexpr std::size_t kPassedAt = 24;
constexpr std::size_t kMovesAt = 28;
constexpr std::size_t kSignalAt = 31;
constexpr std::uint32_t kMovesMask = 0xFFFFFF;
constexpr std::uint8_t kLastSignal = 64;
constexpr std::uint8_t kWorkingBit = 0x80;

constexpr double kPaceScale = 1000;
constexpr double kMicro = 1e6;

template <std::unsigned_integral Number>
void put(PacketBytes& bytes, std::size_t at, Number value) {
  for (std::size_t i = 0; i < sizeof value; ++i)
    bytes.at(at + i) = static_cast<std::byte>(value >> (8 * i));
}

template <std::unsigned_integral Number>
Number get(std::span<const std::byte> bytes, std::size_t at) {
  Number value = 0;
  for (std::size_t i = 0; i < sizeof value; ++i)
    value |= static_cast<Number>(static_cast<Number>(bytes[at + i]) << (8 * i));
  return value;
}

}  // namespace

std::uint16_t pace_of(double seconds) {
  if (!(seconds * kMicro > 1)) return 0;
  constexpr double kMost = std::numeric_limits<std::uint16_t>::max();
  return static_cast<std::uint16_t>(
      std::clamp(std::round(kPaceScale * std::log2(seconds * kMicro)), 1.0, kMost));
}

double seconds_of(std::uint16_t pace) {
  return pace == 0 ? 0 : std::exp2(pace / kPaceScale) / kMicro;
}

PacketBytes encode(const Packet& packet, std::uint64_t nonce) {
  PacketBytes bytes{};
  put(bytes, 0, kMagic);
  put(bytes, kNonceAt, nonce);
  put(bytes, kRankAt, packet.rank);
  put(bytes, kSequenceAt, packet.sequence);
  put(bytes, kKindAt, static_cast<std::uint8_t>(packet.kind));
  const auto phase = static_cast<unsigned>(packet.standing.phase);
  put(bytes, kPhaseAt,
      static_cast<std::uint8_t>(phase | (packet.standing.working ? kWorkingBit : 0U)));
  put(bytes, kPaceAt, packet.pace);
  put(bytes, kPassedAt, packet.standing.passed);
  put(bytes, kMovesAt, packet.standing.moves & kMovesMask);
  put(bytes, kSignalAt, packet.signal);
  return bytes;
}

std::optional<Packet> decode(std::span<const std::byte> bytes, std::uint64_t nonce) {
  if (bytes.size() != kPacketBytes) return std::nullopt;
  if (get<std::uint32_t>(bytes, 0) != kMagic || get<std::uint64_t>(bytes, kNonceAt) != nonce)
    return std::nullopt;
  const auto kind = get<std::uint8_t>(bytes, kKindAt);
  const auto marked = get<std::uint8_t>(bytes, kPhaseAt);
  const int phase = marked & ~kWorkingBit;
  if (kind < static_cast<std::uint8_t>(PacketKind::kBeat) ||
      kind > static_cast<std::uint8_t>(PacketKind::kHung))
    return std::nullopt;
  const auto signal = get<std::uint8_t>(bytes, kSignalAt);
  if (phase >= kPhases || signal > kLastSignal) return std::nullopt;
  return Packet{.kind = static_cast<PacketKind>(kind),
                .rank = get<std::uint32_t>(bytes, kRankAt),
                .sequence = get<std::uint32_t>(bytes, kSequenceAt),
                .standing = {.phase = static_cast<Phase>(phase),
                             .working = (marked & kWorkingBit) != 0,
                             .passed = get<std::uint32_t>(bytes, kPassedAt),
                             .moves = get<std::uint32_t>(bytes, kMovesAt) & kMovesMask},
                .pace = get<std::uint16_t>(bytes, kPaceAt),
                .signal = signal};
}

PacketGate::PacketGate(std::uint64_t nonce, std::uint32_t first, std::uint32_t count, bool root)
    : nonce_(nonce), first_(first), newest_(count), root_(root) {}

PacketGate PacketGate::of_root(std::uint64_t nonce, std::uint32_t ranks) {
  return {nonce, 1, ranks - 1, true};
}

PacketGate PacketGate::of_rank(std::uint64_t nonce, std::uint32_t mine) {
  return {nonce, mine, 1, false};
}

std::optional<Packet> PacketGate::admit(std::span<const std::byte> bytes) {
  const auto packet = decode(bytes, nonce_);
  if (!packet) return std::nullopt;
  const bool from_root = packet->kind == PacketKind::kAnswer || packet->kind == PacketKind::kEnd;
  const bool to_root = packet->kind == PacketKind::kBeat || packet->kind == PacketKind::kHung;
  if (root_ ? from_root : to_root) return std::nullopt;
  if (packet->rank < first_ || packet->rank - first_ >= newest_.size()) return std::nullopt;
  auto& newest = newest_[packet->rank - first_];
  if (packet->sequence <= newest) return std::nullopt;
  newest = packet->sequence;
  return packet;
}

}  // namespace lockstep
