#include "coordinator/watchdog/packet.h"

#include <concepts>

namespace lockstep {
namespace {

constexpr std::uint32_t kMagic = 0x0157534C;  // "LSW", 1
constexpr std::size_t kNonceAt = 4;
constexpr std::size_t kRankAt = 12;
constexpr std::size_t kSequenceAt = 16;
constexpr std::size_t kKindAt = 20;
constexpr std::size_t kPhaseAt = 21;
constexpr std::size_t kWorkingAt = 22;
constexpr std::size_t kZeroAt = 23;
constexpr std::size_t kPassedAt = 24;
constexpr std::size_t kMovesAt = 28;

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

PacketBytes encode(const Packet& packet, std::uint64_t nonce) {
  PacketBytes bytes{};
  put(bytes, 0, kMagic);
  put(bytes, kNonceAt, nonce);
  put(bytes, kRankAt, packet.rank);
  put(bytes, kSequenceAt, packet.sequence);
  put(bytes, kKindAt, static_cast<std::uint8_t>(packet.kind));
  put(bytes, kPhaseAt, static_cast<std::uint8_t>(packet.standing.phase));
  put(bytes, kWorkingAt, static_cast<std::uint8_t>(packet.standing.working ? 1 : 0));
  put(bytes, kPassedAt, packet.standing.passed);
  put(bytes, kMovesAt, packet.standing.moves);
  return bytes;
}

std::optional<Packet> decode(std::span<const std::byte> bytes, std::uint64_t nonce) {
  if (bytes.size() != kPacketBytes) return std::nullopt;
  if (get<std::uint32_t>(bytes, 0) != kMagic || get<std::uint64_t>(bytes, kNonceAt) != nonce)
    return std::nullopt;
  const auto kind = get<std::uint8_t>(bytes, kKindAt);
  const auto phase = get<std::uint8_t>(bytes, kPhaseAt);
  const auto working = get<std::uint8_t>(bytes, kWorkingAt);
  if (kind < static_cast<std::uint8_t>(PacketKind::kBeat) ||
      kind > static_cast<std::uint8_t>(PacketKind::kLeave))
    return std::nullopt;
  if (phase >= kPhases || working > 1 || bytes[kZeroAt] != std::byte{0}) return std::nullopt;
  return Packet{.kind = static_cast<PacketKind>(kind),
                .rank = get<std::uint32_t>(bytes, kRankAt),
                .sequence = get<std::uint32_t>(bytes, kSequenceAt),
                .standing = {.phase = static_cast<Phase>(phase),
                             .working = working == 1,
                             .passed = get<std::uint32_t>(bytes, kPassedAt),
                             .moves = get<std::uint32_t>(bytes, kMovesAt)}};
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
  const bool to_root = packet->kind == PacketKind::kBeat;
  if (root_ ? from_root : to_root) return std::nullopt;
  if (packet->rank < first_ || packet->rank - first_ >= newest_.size()) return std::nullopt;
  auto& newest = newest_[packet->rank - first_];
  if (packet->sequence <= newest) return std::nullopt;
  newest = packet->sequence;
  return packet;
}

}  // namespace lockstep
