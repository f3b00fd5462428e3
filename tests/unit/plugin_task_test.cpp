#include "worker/plugin_task.h"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/version.h>

#include "common/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"
#include "worker/make_task.h"
#include "worker/plugin_abi.h"

namespace lockstep {
namespace {

using ::testing::AllOf;
using testing::error_of;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using testing::TemporaryFolder;

std::string plugin(const std::string& name) {
  return std::string(LOCKSTEP_TEST_PLUGINS) + "/lib" + name + "_plugin.so";
}

LoadedConfig asking_for(const std::string& path, const std::string& options = "") {
  LoadedConfig loaded;
  loaded.config.task.name = "plugin";
  loaded.config.run.seed = 5;
  loaded.paths.library = path;
  if (!options.empty()) loaded.config.task.options = options;
  return loaded;
}

// What is said of it: one line that begins with its path.
std::string refusal(ErrorCode code, const std::string& path, const std::string& options = "") {
  const auto text = error_of(code, [&] { make_task(asking_for(path, options), 1); });
  EXPECT_THAT(text, AllOf(StartsWith("task.library: " + path + ": "), Not(HasSubstr("\n"))));
  return text;
}

TEST(PluginTask, IsMadeFromItsOptionsDataPathSeedAndThreads) {
  auto loaded = asking_for(plugin("toy"), "width=3");
  loaded.paths.data = "/data/words";
  const auto task = make_task(loaded, 1);
  EXPECT_EQ(task->data_digest(), "width=3,/data/words,5,1");
  EXPECT_EQ(task->parameters().size(), 2U);
}

TEST(PluginTask, OutlivesTheOneBeforeItOfTheSameFile) {
  make_task(asking_for(plugin("toy"), "first"), 1);
  EXPECT_EQ(make_task(asking_for(plugin("toy")), 1)->data_digest(), ",,5,1");
}

TEST(PluginTask, AFileThatIsNoSharedObjectIsRefused) {
  const TemporaryFolder folder;
  EXPECT_THAT(refusal(ErrorCode::kNotFound, folder / "absent.so"),
              HasSubstr("is not there; build"));
  EXPECT_THAT(refusal(ErrorCode::kInvalidConfig, folder.path()), HasSubstr("is a folder"));
  std::ofstream(folder / "short.so") << "x";
  EXPECT_THAT(refusal(ErrorCode::kInvalidConfig, folder / "short.so"),
              HasSubstr("is no shared object that can be loaded here (file too short)"));
  std::ofstream(folder / "text.so") << std::string(5000, 'x');
  EXPECT_THAT(refusal(ErrorCode::kInvalidConfig, folder / "text.so"),
              HasSubstr("(invalid ELF header); name the .so"));
}

// The loader would map what the file lacks, and whoever touches that dies by SIGBUS.
TEST(PluginTask, AFileThatIsCutOffIsRefusedAtAnyLength) {
  const auto size = std::filesystem::file_size(plugin("toy"));
  std::filesystem::copy_file(plugin("toy"), "cut.so",
                             std::filesystem::copy_options::overwrite_existing);
  for (const auto length :
       {size / 2, std::uintmax_t{5000}, std::uintmax_t{70}, std::uintmax_t{1}}) {
    std::filesystem::resize_file("cut.so", length);
    EXPECT_THAT(refusal(ErrorCode::kInvalidConfig, "cut.so"),
                ::testing::AnyOf(HasSubstr("cut off"), HasSubstr("no shared object")));
  }
}

TEST(PluginTask, WhatItLacksIsNamed) {
  EXPECT_THAT(refusal(ErrorCode::kInvalidConfig, plugin("unresolved")),
              HasSubstr("it needs elsewhere::make(int), which nobody has"));
  EXPECT_THAT(refusal(ErrorCode::kInvalidConfig, plugin("orphan")),
              HasSubstr("it needs libabsent.so, which is not found; install it"));
  EXPECT_THAT(refusal(ErrorCode::kInvalidConfig, plugin("no_factory")),
              HasSubstr("is no plugin of lockstep: it lacks lockstep_make_task"));
  EXPECT_THAT(
      refusal(ErrorCode::kInvalidConfig, std::string(LOCKSTEP_TEST_PLUGINS) + "/libpause_shim.so"),
      HasSubstr("it lacks lockstep_plugin_info"));
}

// None of these is called: their factory ends the process.
TEST(PluginTask, BuiltWithAnythingElseNamesBoth) {
  EXPECT_THAT(refusal(ErrorCode::kMismatch, plugin("other_abi")),
              HasSubstr("built with version 7, this lockstepd with " + std::to_string(kPluginAbi) +
                        " of plugin.h; build it anew"));
  EXPECT_THAT(refusal(ErrorCode::kMismatch, plugin("other_library")),
              HasSubstr("the standard library libc++, this lockstepd with libstdc++"));
  EXPECT_THAT(refusal(ErrorCode::kMismatch, plugin("other_torch")),
              HasSubstr("LibTorch 1.13.1, this lockstepd with " TORCH_VERSION));
}

TEST(PluginTask, WhatItsFactoryThrowsIsToldInOneLine) {
  const auto said = [](ErrorCode code, const std::string& options) {
    return refusal(code, plugin("toy"), options);
  };
  EXPECT_THAT(said(ErrorCode::kIo, "Error"), HasSubstr(": the words are locked"));
  EXPECT_THAT(said(ErrorCode::kInvalidConfig, "exception"),
              HasSubstr("lockstep_make_task failed: no width"));
  EXPECT_THAT(said(ErrorCode::kInvalidConfig, "number"), HasSubstr("no std::exception"));
  EXPECT_THAT(said(ErrorCode::kInvalidConfig, "nothing"), HasSubstr("a null pointer"));
}

TEST(PluginTask, ATaskThatCantBeTrainedOrSavedIsRefused) {
  const auto said = [](const std::string& options) {
    return refusal(ErrorCode::kInvalidConfig, plugin("toy"), options);
  };
  EXPECT_THAT(said("no parameter"), HasSubstr("no parameter"));
  EXPECT_THAT(said("no sample"), HasSubstr("no training sample"));
  EXPECT_THAT(said("twice"), HasSubstr("two tensors named bias"));
  EXPECT_THAT(said("name"), HasSubstr("not for a file"));
  EXPECT_THAT(said("empty"), HasSubstr("the tensor none with a shape of no, or too many"));
  EXPECT_THAT(said("huge"), HasSubstr("the tensor all with"));
}

}  // namespace
}  // namespace lockstep
