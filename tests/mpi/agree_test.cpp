#include "common/agree.h"

#include <array>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

namespace lockstep {
namespace {

class AgreeTest : public testing::Test {
 protected:
  Comm comm_ = Comm::duplicate(MPI_COMM_WORLD);
};

TEST_F(AgreeTest, ReturnsEachRanksOwnValueWhenAllSucceed) {
  EXPECT_EQ(agree(comm_, "phase", [&] { return comm_.rank(); }), comm_.rank());
}

TEST_F(AgreeTest, OneRanksErrorIsEveryRanksError) {
  const int culprit = comm_.size() - 1;
  try {
    agree(comm_, "load", [&] {
      if (comm_.rank() == culprit) throw Error(ErrorCode::kDamaged, "bad crc");
    });
    FAIL() << "no rank may go on";
  } catch (const AgreedError& e) {
    EXPECT_EQ(e.code(), ErrorCode::kDamaged);
    EXPECT_EQ(e.rank(), culprit);
    EXPECT_EQ(std::string(e.what()), "load: rank " + std::to_string(culprit) + ": bad crc");
  }
}

TEST_F(AgreeTest, LowestFailingRankIsNamedWhenSeveralFail) {
  try {
    agree(comm_, "load", [&] { throw Error(ErrorCode::kIo, std::to_string(comm_.rank())); });
    FAIL();
  } catch (const AgreedError& e) {
    EXPECT_EQ(e.rank(), 0);
  }
}

TEST_F(AgreeTest, CommunicatorIsUsableAfterAnAgreedError) {
  EXPECT_THROW(agree(comm_, "x", [] { throw Error(ErrorCode::kIo, "x"); }), AgreedError);
  EXPECT_EQ(agree(comm_, "y", [] { return 1; }), 1);
}

TEST_F(AgreeTest, RootsThrowReachesEveryRankInsteadOfHangingThem) {
  try {
    root_decides(comm_, "choose",
                 []() -> std::string { throw Error(ErrorCode::kNotFound, "no index"); });
    FAIL();
  } catch (const AgreedError& e) {
    EXPECT_STREQ(e.what(), "choose: rank 0: no index");
  }
}

TEST_F(AgreeTest, WhatAllHaveAlikePasses) {
  const std::string large(100'000, 'x');
  require_same(comm_, {});
  require_same(comm_, {{"a", hash128("")}, {"b", hash128(large)}});
}

std::string own_host() {
  std::array<char, 256> name{};
  EXPECT_EQ(::gethostname(name.data(), name.size()), 0);
  return name.data();
}

TEST_F(AgreeTest, WhoDiffersIsNamedInTheFirstPhaseThatDiffers) {
  if (comm_.size() < 2) return;
  const int last = comm_.size() - 1;
  const bool is_last = comm_.rank() == last;
  try {
    require_same(comm_, {{"alike", hash128("x")},
                         {"build", hash128(is_last ? "1" : "2"), "install one"},
                         {"later", hash128(std::to_string(comm_.rank()))}});
    FAIL() << "no rank may go on";
  } catch (const AgreedError& e) {
    EXPECT_EQ(e.code(), ErrorCode::kMismatch);
    EXPECT_EQ(e.rank(), last);
    EXPECT_EQ(std::string(e.what()), "build: rank " + std::to_string(last) +
                                         ": differs from rank 0's, on host " + own_host() +
                                         ": install one");
  }
  require_same(comm_, {{"usable afterwards", hash128("x")}});
}

TEST_F(AgreeTest, WhereRankZeroIsTheOddOneAllOthersDiffer) {
  if (comm_.size() < 2) return;
  std::string others;
  for (int r = 2; r < comm_.size(); ++r)
    others += (r > 2 ? ", " : ", and on rank ") + std::to_string(r) + " (" + own_host() + ")";
  try {
    require_same(comm_, {{"model", hash128(comm_.is_root() ? "1" : "2")}});
    FAIL() << "no rank may go on";
  } catch (const AgreedError& e) {
    EXPECT_EQ(e.rank(), 1);
    EXPECT_EQ(e.cause(), "differs from rank 0's, on host " + own_host() + others);
  }
}

TEST_F(AgreeTest, EachHalfOfAHashIsCompared) {
  if (comm_.size() < 2) return;
  const std::uint64_t odd = comm_.is_root() ? 1 : 2;
  EXPECT_THROW(require_same(comm_, {{"model", {odd, 0}}}), AgreedError);
  EXPECT_THROW(require_same(comm_, {{"model", {0, odd}}}), AgreedError);
}

TEST_F(AgreeTest, RootsBytesReachEveryRank) {
  EXPECT_EQ(root_decides(comm_, "choose", [] { return std::string("a\0b", 3); }),
            std::string("a\0b", 3));
}

// What fits into the header, and what does not by a byte and by far; a text of an error as well.
TEST_F(AgreeTest, RootsBytesReachEveryRankWhateverTheirLength) {
  for (const std::size_t length : {0UL, 2031UL, 2032UL, 2033UL, 100'000UL}) {
    std::string text;
    for (std::size_t i = 0; i < length; ++i)
      text += static_cast<char>('a' + i % 26);
    EXPECT_EQ(root_decides(comm_, "choose", [&] { return text; }), text) << length;
    try {
      root_decides(comm_, "choose",
                   [&]() -> std::string { throw Error(ErrorCode::kNotFound, text); });
      FAIL();
    } catch (const AgreedError& e) {
      EXPECT_EQ(e.cause(), text) << length;
    }
  }
}

}  // namespace
}  // namespace lockstep
