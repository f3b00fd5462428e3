#include "coordinator/requests.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/names.h"
#include "tests/support/expect_error.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/store_on_disk.h"

namespace lockstep {
namespace {

using testing::expect_every_damage_is_seen;
using testing::FaultFileSystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Op;
using ::testing::SizeIs;
using testing::StoreOnDisk;

namespace fs = std::filesystem;

struct Site {
  Site() { disk.attempt("a", {}, std::nullopt); }
  std::string leave(Asked asked) {
    return leave_request(disk.files(), disk.path(), 1, {asked, "ana on login1"});
  }
  Taken take() { return take_requests(disk.files(), disk.path(), 1); }
  fs::path folder() { return attempt_path(disk.path(), 1) + "/requests"; }
  void write(const std::string& name, const std::string& text) {
    std::ofstream(folder() / name) << text;
  }

  StoreOnDisk disk{"requests"};
};

TEST(Requests, AreTakenOnce) {
  Site site;
  EXPECT_THAT(site.take().requests, IsEmpty()) << "nobody has asked: no folder yet";
  const auto name = site.leave(Asked::kSave);
  EXPECT_TRUE(is_waiting(site.disk.files(), site.disk.path(), 1, name));
  const auto taken = site.take();
  ASSERT_THAT(taken.requests, SizeIs(1));
  EXPECT_EQ(taken.requests[0].asked, Asked::kSave);
  EXPECT_EQ(taken.requests[0].who, "ana on login1");
  EXPECT_FALSE(is_waiting(site.disk.files(), site.disk.path(), 1, name));
  EXPECT_THAT(site.take().requests, IsEmpty());
}

TEST(Requests, WhatIsNoneIsRemovedAndSaid) {
  Site site;
  site.leave(Asked::kStop);
  const std::string bad(32, 'b');
  const std::string large(32, 'c');
  site.write(bad, R"({"request":"reboot"})");
  site.write(large, std::string(5000, ' '));
  const auto taken = site.take();
  ASSERT_THAT(taken.requests, SizeIs(1));
  ASSERT_THAT(taken.refused, SizeIs(2));
  EXPECT_THAT(taken.refused[0], HasSubstr(bad));
  EXPECT_THAT(taken.refused[1], HasSubstr(large));
  EXPECT_TRUE(fs::is_empty(site.folder()));
}

TEST(Requests, ForeignNamesAreLeft) {
  Site site;
  site.leave(Asked::kSave);
  site.take();
  site.write("README", "x");
  site.write("." + std::string(32, 'a') + ".0123456789abcdef.tmp", "being written");
  fs::create_directory(site.folder() / std::string(32, 'd'));
  fs::create_symlink("/etc/passwd", site.folder() / std::string(32, 'e'));
  const auto taken = site.take();
  EXPECT_THAT(taken.requests, IsEmpty());
  EXPECT_THAT(taken.refused, IsEmpty());
  EXPECT_EQ(std::distance(fs::directory_iterator(site.folder()), fs::directory_iterator()), 4);
}

TEST(Requests, WhatCannotBeRemovedNowIsNotTakenYet) {
  Site site;
  site.leave(Asked::kStop);
  site.leave(Asked::kSave);
  FaultFileSystem files(site.disk.files());
  files.fail_next(Op::kUnlink);
  files.fail_next(Op::kOpen, ErrorCode::kIo, 2);
  const auto none = take_requests(files, site.disk.path(), 1);
  EXPECT_THAT(none.requests, IsEmpty());
  EXPECT_THAT(none.left, SizeIs(2));
  EXPECT_THAT(site.take().requests, SizeIs(2)) << "both are still there";
  files.fail_next(Op::kList);
  EXPECT_THROW(take_requests(files, site.disk.path(), 1), Error);
}

TEST(Requests, OneLookTakesABoundedNumber) {
  Site site;
  site.leave(Asked::kSave);
  const auto text = encode(AskRecord{Asked::kSave, "ana"});
  for (int i = 0; i < 1002; ++i)
    site.write(random_hex(32), text);
  EXPECT_THAT(site.take().requests, SizeIs(1000));
  EXPECT_THAT(site.take().requests, SizeIs(3));
}

TEST(Requests, EveryDamageIsSeen) {
  expect_every_damage_is_seen(encode(AskRecord{Asked::kStop, "ana"}), [](const std::string& text) {
    parse_ask_record(text, "requests/x");
  });
}

TEST(Requests, TheBoxGivesEachKindOnce) {
  RequestBox box;
  EXPECT_FALSE(box.take(Asked::kSave));
  box.put({{Asked::kSave, ""}, {Asked::kSave, ""}});
  EXPECT_FALSE(box.take(Asked::kStop));
  EXPECT_TRUE(box.take(Asked::kSave));
  EXPECT_FALSE(box.take(Asked::kSave));
  box.put({{Asked::kStop, ""}});
  EXPECT_TRUE(box.take(Asked::kStop));
}

}  // namespace
}  // namespace lockstep
