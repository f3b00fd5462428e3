#include "coordinator/watchdog/packet.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

namespace lockstep {
namespace {

constexpr std::uint64_t kNonce = 0x0123456789ABCDEF;
constexpr RankStanding kStanding{Phase::kSave, true, 0xDEADBEEF, 0xABCDEF};

Packet packet(PacketKind kind, std::uint32_t rank, std::uint32_t sequence) {
  return {.kind = kind,
          .rank = rank,
          .sequence = sequence,
          .standing = kStanding,
          .pace = 0x1234,
          .signal = 15};
}

TEST(Packet, ComesBackAsItWasSent) {
  for (const auto kind : {PacketKind::kBeat, PacketKind::kAnswer, PacketKind::kEnd,
                          PacketKind::kLeave, PacketKind::kHung}) {
    const auto sent = packet(kind, 3, 0xFEDCBA98);
    EXPECT_EQ(decode(encode(sent, kNonce), kNonce), sent);
  }
}

TEST(Packet, IsLaidOutAsTheHeaderSays) {
  const auto bytes =
      encode({PacketKind::kEnd, 2, 5, {Phase::kTrain, true, 6, 7}, 0x0809, 10}, kNonce);
  const std::array<int, kPacketBytes> expected = {
      'L', 'S', 'W', 1, 0xEF, 0xCD, 0xAB, 0x89, 0x67, 0x45, 0x23, 0x01, 2, 0, 0, 0,
      5,   0,   0,   0, 3,    0x84, 9,    8,    6,    0,    0,    0,    7, 0, 0, 10};
  for (std::size_t i = 0; i < kPacketBytes; ++i)
    EXPECT_EQ(std::to_integer<int>(bytes.at(i)), expected.at(i)) << "byte " << i;
}

TEST(Pace, IsExactToATenthOfAPercent) {
  for (const double seconds : {2e-6, 1e-3, 0.0123, 1.0, 77.7, 1e6})
    EXPECT_NEAR(seconds_of(pace_of(seconds)), seconds, 0.001 * seconds);
  for (const double none : {0.0, 1e-7, -1.0, std::nan("")})
    EXPECT_EQ(pace_of(none), 0);
  EXPECT_EQ(seconds_of(0), 0);
  EXPECT_EQ(pace_of(1e300), 0xFFFF);
}

TEST(Packet, EveryOtherSizeIsRefused) {
  std::vector<std::byte> bytes(200);
  const auto good = encode(packet(PacketKind::kBeat, 1, 1), kNonce);
  std::copy(good.begin(), good.end(), bytes.begin());
  for (std::size_t size = 0; size <= bytes.size(); ++size)
    EXPECT_EQ(decode(std::span(bytes).first(size), kNonce).has_value(), size == kPacketBytes);
}

TEST(Packet, NoFlippedBitOfMagicNonceOrFormIsLetThrough) {
  const auto good = encode(packet(PacketKind::kBeat, 1, 1), kNonce);
  for (std::size_t bit = 0; bit < 12 * 8; ++bit) {
    auto bytes = good;
    bytes.at(bit / 8) ^= static_cast<std::byte>(1U << (bit % 8));
    EXPECT_FALSE(decode(bytes, kNonce)) << "bit " << bit;
  }
  struct Row {
    std::size_t at;
    int value;
  };
  for (const auto& row : {Row{20, 0}, Row{20, 6}, Row{20, 255}, Row{21, kPhases},
                          Row{21, 0x80 + kPhases}, Row{21, 255}, Row{31, 65}, Row{31, 255}}) {
    auto bytes = good;
    bytes.at(row.at) = static_cast<std::byte>(row.value);
    EXPECT_FALSE(decode(bytes, kNonce)) << "byte " << row.at << " as " << row.value;
  }
}

TEST(PacketGate, LetsInWhatIsForIt) {
  struct Row {
    PacketKind kind;
    std::uint32_t rank;
    bool to_root;  // of 4 ranks
    bool to_2;
  };
  for (const auto& row :
       {Row{PacketKind::kBeat, 1, true, false}, Row{PacketKind::kBeat, 2, true, false},
        Row{PacketKind::kBeat, 3, true, false}, Row{PacketKind::kBeat, 0, false, false},
        Row{PacketKind::kBeat, 4, false, false}, Row{PacketKind::kBeat, 0xFFFFFFFF, false, false},
        Row{PacketKind::kAnswer, 2, false, true}, Row{PacketKind::kAnswer, 1, false, false},
        Row{PacketKind::kAnswer, 3, false, false}, Row{PacketKind::kEnd, 2, false, true},
        Row{PacketKind::kEnd, 0, false, false}, Row{PacketKind::kLeave, 2, true, true},
        Row{PacketKind::kLeave, 3, true, false}, Row{PacketKind::kHung, 2, true, false},
        Row{PacketKind::kHung, 0, false, false}}) {
    const auto bytes = encode(packet(row.kind, row.rank, 1), kNonce);
    const auto what =
        "kind " + std::to_string(static_cast<int>(row.kind)) + ", rank " + std::to_string(row.rank);
    EXPECT_EQ(PacketGate::of_root(kNonce, 4).admit(bytes).has_value(), row.to_root) << what;
    EXPECT_EQ(PacketGate::of_rank(kNonce, 2).admit(bytes).has_value(), row.to_2) << what;
    EXPECT_FALSE(PacketGate::of_root(kNonce + 1, 4).admit(bytes)) << "another job's";
  }
}

TEST(PacketGate, LetsNothingInTwiceNorAnythingOlder) {
  auto gate = PacketGate::of_root(kNonce, 4);
  const auto admits = [&](std::uint32_t rank, std::uint32_t sequence) {
    return gate.admit(encode(packet(PacketKind::kBeat, rank, sequence), kNonce)).has_value();
  };
  EXPECT_FALSE(admits(1, 0));
  EXPECT_TRUE(admits(1, 1));
  EXPECT_FALSE(admits(1, 1)) << "replayed";
  EXPECT_TRUE(admits(1, 5)) << "some are lost on the way";
  EXPECT_FALSE(admits(1, 4)) << "overtaken";
  EXPECT_TRUE(admits(2, 4)) << "another rank's are its own";
  // What is refused for another reason moves nothing on.
  auto foreign = encode(packet(PacketKind::kBeat, 1, 100), kNonce + 1);
  EXPECT_FALSE(gate.admit(foreign));
  EXPECT_FALSE(gate.admit(encode(packet(PacketKind::kAnswer, 1, 100), kNonce)));
  EXPECT_TRUE(admits(1, 6));
}

}  // namespace
}  // namespace lockstep
