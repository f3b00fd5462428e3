#include "common/pages.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include <gtest/gtest.h>

namespace lockstep {
namespace {

constexpr std::size_t kMiB = 1 << 20;

TEST(Pages, AreZeroedAlignedAndWritableToTheLastByte) {
  for (const std::size_t bytes :
       {std::size_t{0}, std::size_t{1}, std::size_t{100}, 4 * kMiB - 1, 4 * kMiB, 9 * kMiB + 1}) {
    const Pages pages(bytes);
    const auto all = pages.all();
    ASSERT_EQ(all.size(), bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(all.data()) % 64, 0U);
    EXPECT_TRUE(std::ranges::all_of(all, [](std::byte b) { return b == std::byte{0}; }));
    std::ranges::fill(all, std::byte{7});
  }
}

TEST(Pages, LargeOnesBeginAHugePage) {
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(Pages(5 * kMiB).all().data()) % (2 * kMiB), 0U);
}

TEST(Pages, StayInPlaceWhenTheirOwnerMoves) {
  Pages pages(5 * kMiB);
  pages.all()[3] = std::byte{9};
  const auto* const at = pages.all().data();
  Pages moved = std::move(pages);
  EXPECT_EQ(moved.all().data(), at);
  EXPECT_EQ(moved.all()[3], std::byte{9});
}

}  // namespace
}  // namespace lockstep
