#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"
#include "coordinator/config_loader.h"
#include "tests/support/config_text.h"

namespace lockstep {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

struct BadFile {
  std::string name;
  std::string place;                // "3:5"
  std::vector<std::string> pieces;  // of the message
};

// "3:5 | piece | piece"
BadFile parse_expectation(const std::string& name, const std::string& line) {
  BadFile bad{name, "", {}};
  std::istringstream in(line);
  for (std::string piece; std::getline(in, piece, '|');) {
    piece.erase(0, piece.find_first_not_of(' '));
    piece.erase(piece.find_last_not_of(" \r") + 1);
    if (bad.place.empty()) {
      bad.place = piece;
    } else {
      bad.pieces.push_back(piece);
    }
  }
  return bad;
}

// A file says in its first line what is expected; expected.txt speaks for those that can't.
std::vector<BadFile> bad_files() {
  const std::filesystem::path folder = LOCKSTEP_BAD_CONFIGS;
  std::map<std::string, BadFile> bad;
  std::istringstream table(read_file(folder / "expected.txt"));
  for (std::string line; std::getline(table, line);) {
    if (line.starts_with("#")) continue;
    const std::string name = line.substr(0, line.find(' '));
    bad[name] = parse_expectation(name, line.substr(line.find('|') + 1));
  }
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (entry.path().extension() != ".yaml" || bad.count(name) != 0) continue;
    const std::string text = read_file(entry.path());
    EXPECT_THAT(text, StartsWith("# ")) << name;
    bad[name] = parse_expectation(name, text.substr(2, text.find('\n') - 2));
  }
  std::vector<BadFile> files;
  files.reserve(bad.size());
  for (const auto& [name, file] : bad)
    files.push_back(file);
  return files;
}

TEST(BadConfigs, EachIsRefusedAtItsPlaceWithItsReason) {
  const std::vector<BadFile> files = bad_files();
  EXPECT_GE(files.size(), 200U);
  for (const BadFile& bad : files) {
    SCOPED_TRACE(bad.name);
    const std::string path = std::string(LOCKSTEP_BAD_CONFIGS) + "/" + bad.name;
    const std::string text = error_of(read_file(path), {}, bad.name);
    EXPECT_FALSE(bad.pieces.empty());
    EXPECT_THAT(text, StartsWith(bad.name + ":" + bad.place + ": "));
    for (const std::string& piece : bad.pieces)
      EXPECT_THAT(text, HasSubstr(piece));
    EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 1);
    EXPECT_LE(text.size(), 300U);
  }
}

TEST(BadConfigs, EachIsRefusedFromDiskWithThePathAsTheUserGaveIt) {
  for (const BadFile& bad : bad_files()) {
    const std::string path = std::string(LOCKSTEP_BAD_CONFIGS) + "/" + bad.name;
    try {
      load_config(path, {}, environment);
      ADD_FAILURE() << bad.name << " is accepted";
    } catch (const Error& error) {
      EXPECT_EQ(exit_code(error.code()), 2);
      EXPECT_THAT(error.what(), StartsWith(path + ":" + bad.place + ": "));
    }
  }
}

// Any cut and any changed byte gives a configuration or an Error, never anything else.
TEST(BadConfigs, CutAndChangedTextsNeverCrash) {
  const std::string text = required + "restore: {attempt: 3, max_lost_iterations: 9}\n" +
                           "preempt:\n  signals: [\"USR1\", 'TERM']\n# end\n";
  for (std::size_t i = 0; i < text.size(); ++i) {
    error_of(text.substr(0, i));
    for (const char c : std::string(":-[}\"'#&*!|@\n\t \\0~\xff<")) {
      std::string changed = text;
      changed[i] = c;
      error_of(changed);
    }
  }
}

TEST(BadConfigs, HugeAndDeepTextsAreRefused) {
  const std::size_t most = std::size_t{1} << 20;
  const auto repeat = [](const std::string& piece, std::size_t count) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i)
      text += piece;
    return text;
  };
  std::vector<std::string> texts = {
      "store: " + std::string(most - 10, 'a'),
      repeat("[", most),
      repeat("{a: ", most / 4),
      repeat("- ", most / 2),
      repeat("? ", most / 2),
      repeat("[\n", most / 2),
      repeat("{a", most / 2),
      repeat("&a ", most / 3),
      repeat("---\n", most / 4),
      repeat("a: 1\n", most / 5),
      "a: \"" + std::string(most - 10, '\\'),
      "a: [" + repeat("x, ", most / 4) + "]",
      repeat("!", most),
      repeat("'", most),
      repeat(": ", most / 2),
  };
  texts.push_back(repeat("aaaaaaaaaa", 5'000'000));
  std::string nested;
  for (std::size_t i = 0; i < 1400; ++i)
    nested += std::string(i, ' ') + "a:\n";
  texts.push_back(nested);
  std::string keys;
  for (std::size_t i = 0; i < 100'000; ++i)
    keys += "k" + std::to_string(i) + ": 1\n";
  texts.push_back(keys);
  for (const std::string& text : texts) {
    const std::string message = error_of(text);
    EXPECT_THAT(message, StartsWith("train.yaml:")) << text.substr(0, 20);
    EXPECT_LE(message.size(), 300U);
  }
}

TEST(BadConfigs, MessagesCarryNoControlCharactersAndNoEndlessTexts) {
  const std::string text = error_of(required + "\"\\e[31m" + std::string(500, 'x') + "\": 1\n");
  EXPECT_THAT(text, HasSubstr("\\x1b[31m"));
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_LT(text.size(), 400U);
  EXPECT_THAT(error_of("a: 1\n", {}, "a\nb.yaml"), StartsWith("a\\x0ab.yaml:1:1: "));
}

}  // namespace
}  // namespace lockstep
