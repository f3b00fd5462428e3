#include "worker/mapped_text.h"

#include <filesystem>
#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace lockstep {
namespace {

using testing::error_of;
using ::testing::HasSubstr;
using testing::TemporaryFolder;

class Text : public ::testing::Test {
 protected:
  void put(const std::string& name, const std::string& text) const {
    const std::filesystem::path path = folder_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
  }
  static std::string piece(const MappedText& text, std::int64_t first, std::size_t count) {
    std::string bytes(count, '\0');
    text.copy(first, {reinterpret_cast<std::uint8_t*>(bytes.data()), count});
    return bytes;
  }
  static std::string whole(const MappedText& text) {
    return piece(text, 0, static_cast<std::size_t>(text.size()));
  }

  TemporaryFolder folder_;
};

TEST_F(Text, OfAFolderIsThatOfItsFilesInTheOrderOfTheirPaths) {
  put("b.txt", "three");
  put("a/2.md", "two");
  put("a/1.md", "one");
  const MappedText text(folder_.path());
  EXPECT_EQ(whole(text), "onetwothree");
  EXPECT_EQ(text.files(), 3);
  for (std::int64_t first = 0; first < text.size(); ++first)
    for (std::int64_t count = 0; first + count <= text.size(); ++count)
      EXPECT_EQ(piece(text, first, static_cast<std::size_t>(count)),
                std::string("onetwothree")
                    .substr(static_cast<std::size_t>(first), static_cast<std::size_t>(count)));
}

TEST_F(Text, OfAFolderLeavesOutWhatIsNone) {
  put("text", "text");
  put("empty", "");
  put("packed", std::string("\x1f\x8b\x08\x00\x00", 5));
  put(".hidden", "hidden");
  put(".git/config", "hidden too");
  std::filesystem::create_symlink(folder_ / "text", folder_ / "link");
  std::filesystem::create_directory_symlink(folder_.path(), folder_ / "round");
  EXPECT_EQ(whole(MappedText(folder_.path())), "text");
}

TEST_F(Text, OfAFileIsItsBytes) {
  put(".one", "one");
  EXPECT_EQ(whole(MappedText(folder_ / ".one")), "one");
}

TEST_F(Text, ThatIsNotThereIsAnErrorThatNamesThePath) {
  put("folder/zeros", std::string(10, '\0'));
  put("empty", "");
  const auto text_of = [&](const std::string& name) {
    return error_of(ErrorCode::kNotFound, [&] { MappedText text(folder_ / name); });
  };
  EXPECT_THAT(text_of("absent"), HasSubstr(folder_ / "absent"));
  EXPECT_THAT(text_of("folder"), HasSubstr("no text file is below this folder"));
  EXPECT_THAT(text_of("folder/zeros"), HasSubstr("is empty, or holds no text"));
  EXPECT_THAT(text_of("empty"), HasSubstr("is empty, or holds no text"));
  error_of(ErrorCode::kIo, [] { MappedText text("/dev/zero"); });
}

TEST_F(Text, DigestTellsBytesAndWhereFilesEnd) {
  const auto digest = [&](const std::string& one, const std::string& two) {
    put("1", one);
    put("2", two);
    return MappedText(folder_.path()).digest();
  };
  const auto first = digest("ab", "cd");
  EXPECT_EQ(digest("ab", "cd"), first);
  EXPECT_NE(digest("ab", "ce"), first);
  EXPECT_NE(digest("abc", "d"), first);
}

}  // namespace
}  // namespace lockstep
