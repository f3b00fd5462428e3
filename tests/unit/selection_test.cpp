#include "common/selection.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(Selection, AGlobMeansATensorByItsWholeNameOrTheModulesOwn) {
  EXPECT_TRUE(glob_matches("model.head.weight", "model.head.weight"));
  EXPECT_TRUE(glob_matches("head.*", "model.head.weight"));
  EXPECT_TRUE(glob_matches("*.mean", "buffer.norm.mean"));
  EXPECT_TRUE(glob_matches("norm.mean", "buffer.norm.mean"));
  EXPECT_FALSE(glob_matches("weight", "model.head.weight"));
  EXPECT_FALSE(glob_matches("head", "model.head.weight"));
  EXPECT_FALSE(glob_matches("weight", "layer.weight")) << "a name that is not lockstep's";
}

TEST(Selection, OptimizerStateGoesWithItsParameter) {
  for (const char* glob : {"head.weight", "model.head.weight", "head.*", "model.*",
                           "optimizer.head.weight.exp_avg", "optimizer.*"})
    EXPECT_TRUE(glob_matches(glob, "optimizer.head.weight.exp_avg")) << glob;
  EXPECT_FALSE(glob_matches("head.bias", "optimizer.head.weight.exp_avg"));
}

TEST(Selection, ScopeAndExcludeTogether) {
  const Selection all;
  EXPECT_TRUE(is_selected(all, "optimizer.a.exp_avg"));
  const Selection model{true, {"a"}};
  EXPECT_FALSE(is_selected(model, "optimizer.b.exp_avg"));
  EXPECT_FALSE(is_selected(model, "model.a"));
  EXPECT_TRUE(is_selected(model, "model.b"));
  EXPECT_TRUE(is_selected(model, "buffer.b"));
}

TEST(Selection, GlobsThatMatchNothingAreNamedAll) {
  const std::vector<std::string> names = {"model.a", "optimizer.a.exp_avg"};
  EXPECT_EQ(unmatched_globs({false, {"a", "b*", "optimizer.*", "c"}}, names),
            (std::vector<std::string>{"b*", "c"}));
  EXPECT_TRUE(unmatched_globs({true, {"optimizer.*"}}, names).empty())
      << "scope model does not take them anyway";
}

}  // namespace
}  // namespace lockstep
