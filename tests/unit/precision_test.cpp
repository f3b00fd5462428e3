#include "worker/precision.h"

#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

namespace lockstep {
namespace {

at::ScalarType dtype_of_a_product() {
  const auto matrix = at::ones({2, 2});
  return at::mm(matrix, matrix).scalar_type();
}

TEST(Autocast, IsInForceWhileItLivesAndTheOneOutsideIsAgainBehindIt) {
  EXPECT_EQ(dtype_of_a_product(), at::kFloat);
  {
    const Autocast forward(true);
    EXPECT_EQ(dtype_of_a_product(), at::kBFloat16);
    {
      const Autocast backward(false);
      EXPECT_EQ(dtype_of_a_product(), at::kFloat);
    }
    EXPECT_EQ(dtype_of_a_product(), at::kBFloat16);
  }
  EXPECT_EQ(dtype_of_a_product(), at::kFloat);
}

}  // namespace
}  // namespace lockstep
