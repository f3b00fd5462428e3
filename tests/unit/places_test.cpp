// Where the bytes of a load go, and how they come there.

#include "worker/places.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/test_state.h"
#include "worker/finite.h"
#include "worker/stream_copy.h"

namespace lockstep {
namespace {

using testing::SectionPlan;
using testing::TestState;
using Bytes = std::vector<std::byte>;

Bytes counted(std::size_t count) {
  Bytes bytes(count);
  for (std::size_t i = 0; i < count; ++i)
    bytes[i] = static_cast<std::byte>(i % 251 + 1);
  return bytes;
}

TEST(StreamCopy, CopiesEveryLengthToEveryAlignmentAndNothingBeyond) {
  const auto from = counted(400);
  for (std::size_t shift = 0; shift < 64; ++shift)
    for (std::size_t count = 0; count < 200; ++count) {
      Bytes to(400);
      Bytes seen;
      const auto source = std::span(from).subspan(shift / 3, count);
      stream_copy(source, &to[shift], [&](std::span<const std::byte> bytes) {
        seen.insert(seen.end(), bytes.begin(), bytes.end());
      });
      Bytes expected(400);
      std::ranges::copy(source, &expected[shift]);
      ASSERT_EQ(to, expected) << shift << " " << count;
      ASSERT_TRUE(std::ranges::equal(seen, source)) << shift << " " << count;
    }
}

TEST(StreamCopyFinite, FindsWhatIsNotAtAnyPlace) {
  std::vector<std::uint32_t> values(99, 0x7f7fffff);
  std::vector<std::uint32_t> copy(values.size() + 16);
  for (std::size_t shift = 0; shift < 16; ++shift)
    for (std::size_t i = 0; i <= values.size(); ++i) {
      if (i < values.size()) values[i] = 0x7f800000;
      EXPECT_EQ(stream_copy_finite(Dtype::kF32, std::as_bytes(std::span(values)),
                                   reinterpret_cast<std::byte*>(&copy[shift])),
                i == values.size());
      EXPECT_TRUE(std::ranges::equal(values, std::span(copy).subspan(shift, values.size())));
      if (i < values.size()) values[i] = 0x7f7fffff;
    }
  values[0] = 0x7f800000;
  EXPECT_TRUE(stream_copy_finite(Dtype::kI32, std::as_bytes(std::span(values)),
                                 reinterpret_cast<std::byte*>(copy.data())));
}

TEST(Places, TakeAnyStretchAndKnowWhatIsShared) {
  Bytes a(5);
  Bytes b(3);
  Bytes c(4);
  const Places places({{a, false}, {b, true}, {c, false}});
  EXPECT_EQ(places.bytes(), 12U);
  for (std::uint64_t to = 0; to < 12; ++to)
    for (std::uint64_t bytes = 1; to + bytes <= 12; ++bytes) {
      EXPECT_EQ(places.any_shared(to, bytes), to < 8 && to + bytes > 5) << to << " " << bytes;
      for (auto* run : {&a, &b, &c})
        std::ranges::fill(*run, std::byte{0});
      const auto from = counted(bytes);
      places.put(to, from);
      Bytes all = a;
      all.insert(all.end(), b.begin(), b.end());
      all.insert(all.end(), c.begin(), c.end());
      Bytes expected(12);
      std::ranges::copy(from, expected.begin() + static_cast<std::ptrdiff_t>(to));
      EXPECT_EQ(all, expected) << to << " " << bytes;
    }
}

// Two ranks' parts, one tensor left out.
TEST(Places, AreTheOwnPartsOfWhatIsSelected) {
  const std::vector<SectionPlan> plans = {
      {{{"model.a", Dtype::kF32, {4}}, {"model.b", Dtype::kF32, {6}}}, true},
      {{{"optimizer.b.m", Dtype::kF32, {8}}}, false}};
  for (const std::int64_t rank : {0, 1}) {
    TestState state(plans, {rank, 2}, 1);
    Manifest manifest;
    describe_state(state.view(), 2, manifest);
    const auto pieces = expected_pieces(manifest, rank);
    const auto places = places_of(state.view(), {rank, 2}, pieces, {false, {"model.a"}});
    // b[0, 1) or b[1, 6), and half of the moments.
    const std::size_t own_b = rank == 0 ? 1 : 5;
    ASSERT_EQ(places.bytes(), 4 * (own_b + 4));
    const auto before = state.bytes();
    const auto from = counted(places.bytes());
    places.put(0, from);
    auto expected = before;
    const auto first = rank == 0 ? std::ptrdiff_t{16} : std::ptrdiff_t{20};
    std::ranges::copy(std::span(from).first(4 * own_b), expected[0].begin() + first);
    std::ranges::copy(std::span(from).subspan(4 * own_b), expected[1].begin());
    EXPECT_EQ(state.bytes(), expected) << rank;
    EXPECT_TRUE(places.any_shared(0, 4 * own_b));
    EXPECT_FALSE(places.any_shared(4 * own_b, 16));
  }
}

}  // namespace
}  // namespace lockstep
