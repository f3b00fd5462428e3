#include "worker/placement.h"

#include <string>

#include <gtest/gtest.h>

#include "tests/support/expect_error.h"
#include "tests/support/toy_task.h"

namespace lockstep {
namespace {

using testing::error_of;

constexpr WorldSight kNone{};
constexpr WorldSight kShared{.gpu_everywhere = true, .gpu_each = false, .nccl_everywhere = true};
constexpr WorldSight kEach{.gpu_everywhere = true, .gpu_each = true, .nccl_everywhere = true};
constexpr WorldSight kWithout{.gpu_everywhere = true, .gpu_each = true, .nccl_everywhere = false};

struct Row {
  const char* device;
  const char* collectives;
  WorldSight world;
  bool gpu;
  bool nccl;
  const char* refused = "";  // a part of the text
};
constexpr Row kRows[] = {
    {"auto", "auto", kNone, false, false},
    {"auto", "mpi", kNone, false, false},
    {"auto", "nccl", kNone, false, false, "on the CPU"},
    {"auto", "auto", kShared, true, false},
    {"auto", "auto", kEach, true, true},
    {"auto", "auto", kWithout, true, false},
    {"auto", "mpi", kEach, true, false},
    {"auto", "nccl", kEach, true, true},
    {"auto", "nccl", kShared, true, false, "share a GPU"},
    {"cuda", "auto", kShared, true, false},
    {"cuda", "auto", kEach, true, true},
    {"cuda", "nccl", kEach, true, true},
    {"cpu", "auto", kEach, false, false},
    {"cpu", "mpi", kEach, false, false},
    {"cpu", "nccl", kEach, false, false, "on the CPU"},
};

constexpr NcclModule kNccl{.version = "NCCL", .make = nullptr};

TEST(Placement, FollowsTheTable) {
  const GpuSight mine{.why_none = "", .gpus = 2, .nccl = {.module = &kNccl, .why_none = ""}};
  for (const auto& row : kRows) {
    SCOPED_TRACE(std::string(row.device) + ", " + row.collectives);
    Config config;
    config.device = row.device;
    config.collectives = row.collectives;
    if (*row.refused != '\0') {
      const auto text =
          error_of(ErrorCode::kInvalidConfig, [&] { place(config, row.world, mine, 3); });
      EXPECT_NE(text.find(row.refused), std::string::npos) << text;
      continue;
    }
    const auto placement = place(config, row.world, mine, 3);
    EXPECT_EQ(placement.on_gpu(), row.gpu);
    EXPECT_EQ(placement.nccl, row.nccl ? &kNccl : nullptr);
    if (row.gpu) {
      EXPECT_EQ(placement.gpu, 1) << "the fourth rank of a host with two";
    }
  }
}

TEST(Placement, WhatIsWantedAndNotThereIsRefusedWithItsCause) {
  Config config;
  const testing::ToyTask task;  // of the CPU
  const GpuSight none{.why_none = "there is no NVIDIA driver"};
  EXPECT_NO_THROW(require_gpu(config, none, task));
  config.device = "cuda";
  const auto text = error_of(ErrorCode::kInvalidConfig, [&] { require_gpu(config, none, task); });
  EXPECT_EQ(text, "device: cuda: there is no NVIDIA driver; write device: auto or cpu");
  const GpuSight some{.why_none = "", .gpus = 1, .nccl = {.why_none = "it is not here"}};
  EXPECT_NE(error_of(ErrorCode::kInvalidConfig, [&] { require_gpu(config, some, task); })
                .find("the task does not run on GPUs"),
            std::string::npos);
  config.device = "auto";
  EXPECT_NO_THROW(require_gpu(config, some, task));
  config.collectives = "nccl";
  EXPECT_EQ(error_of(ErrorCode::kInvalidConfig, [&] { require_gpu(config, some, task); }),
            "collectives: nccl: it is not here; or write auto or mpi");
}

TEST(Placement, ATaskOfTheCpuLooksForNoGpu) {
  Config config;
  config.task.name = "synthetic";
  EXPECT_EQ(look_for_gpus(config).gpus, 0);
  EXPECT_NE(look_for_gpus(config).why_none.find("synthetic"), std::string::npos);
  config.task.name = "fashion_mnist";
  config.device = "cpu";
  EXPECT_EQ(look_for_gpus(config).gpus, 0);
}

}  // namespace
}  // namespace lockstep
