// main() of a fuzz target where no libFuzzer is: CORPUS_FOLDER MUTATIONS. Runs the target on every
// file of the folder and on so many changed copies of each, the same ones at every run. At a
// finding the input is left in the working folder, for the target itself: TARGET FILE.

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "tests/fuzz/fuzzing.h"
#include "tests/support/random.h"

// Sanitizers then end in abort(), too, whose handler keeps the input.
extern "C" const char* __asan_default_options() {  // NOLINT
  return "abort_on_error=1";
}
extern "C" const char* __ubsan_default_options() {  // NOLINT
  return "abort_on_error=1:print_stacktrace=1";
}

namespace {

using lockstep::testing::Random;

constexpr std::size_t kMostBytes = std::size_t{64} << 10;
const std::string* current = nullptr;  // what the target is at

void keep_input(int signal) {
  const int file = ::open("finding", O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (current != nullptr && ::write(file, current->data(), current->size()) >= 0) {
    constexpr std::string_view kSaid = "its input is the file 'finding' in the working folder\n";
    static_cast<void>(::write(STDERR_FILENO, kSaid.data(), kSaid.size()));
  }
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void run(const std::string& input) {
  current = &input;
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
  current = nullptr;
}

std::size_t below(Random& random, std::size_t n) {
  return static_cast<std::size_t>(random.below(static_cast<std::int64_t>(n)));
}

// What parsers stumble over.
const std::vector<std::string> kTokens = {"0",
                                          "-0",
                                          "-1",
                                          "1e999",
                                          "-1e999",
                                          "0.1",
                                          "1e-400",
                                          "2147483648",
                                          "4294967296",
                                          "9223372036854775807",
                                          "9223372036854775808",
                                          "18446744073709551615",
                                          "18446744073709551616",
                                          "NaN",
                                          "null",
                                          "true",
                                          "{",
                                          "}",
                                          "[",
                                          "]",
                                          "{}",
                                          "[]",
                                          "\"",
                                          "\\",
                                          "\\u0000",
                                          "\\ud800",
                                          ":",
                                          ",",
                                          " ",
                                          "\n",
                                          "\t",
                                          "\r",
                                          "#",
                                          "&a ",
                                          "*a",
                                          "!",
                                          "? ",
                                          "- ",
                                          "| ",
                                          "> ",
                                          "%",
                                          "---\n",
                                          "<<: ",
                                          "${HOME}",
                                          "~/",
                                          "../",
                                          "/",
                                          "@",
                                          std::string(1, '\0'),
                                          "\xC0\x80",
                                          "\xED\xA0\x80",
                                          "\xEF\xBB\xBF",
                                          "\xC2\x85",
                                          "\xFF",
                                          "\x7F",
                                          "[[[[[[[[[[[[[[[[[["};

// The digits at or behind a place, as first and count.
std::pair<std::size_t, std::size_t> number_at(const std::string& text, std::size_t at) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto begin =
      std::find_if(text.begin() + static_cast<std::ptrdiff_t>(at), text.end(), is_digit);
  const auto end = std::find_if_not(begin, text.end(), is_digit);
  return {static_cast<std::size_t>(begin - text.begin()), static_cast<std::size_t>(end - begin)};
}

void change(std::string& text, const std::string& other, Random& random) {
  if (text.empty()) text = " ";
  const auto at = below(random, text.size());
  const auto count = 1 + below(random, std::min<std::size_t>(text.size() - at, 64));
  switch (random.below(8)) {
    case 0:
      text[at] = static_cast<char>(text[at] ^ (1 << random.below(8)));
      break;
    case 1:
      text[at] = static_cast<char>(random.next());
      break;
    case 2:
      text.erase(at, count);
      break;
    case 3:
      text.insert(at, random.pick(kTokens));
      break;
    case 4:
      text.insert(below(random, text.size()), text.substr(at, count));
      break;
    case 5: {
      const auto [first, digits] = number_at(text, at);
      text.replace(first, digits, random.pick(kTokens));
      break;
    }
    case 6:
      text.replace(at, count, random.pick(kTokens));
      break;
    default:
      if (!other.empty())
        text.insert(at, other, below(random, other.size()), 1 + below(random, 64));
  }
  if (text.size() > kMostBytes) text.resize(kMostBytes);
}

std::string mutant(const std::string& seed, const std::string& other, Random& random) {
  constexpr std::int64_t kMostChanges = 4;
  std::string text = seed;
  for (auto changes = 1 + random.below(kMostChanges); changes > 0; --changes)
    change(text, other, random);
  return text;
}

std::vector<std::string> read_folder(const char* folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());  // a folder's own order is no order
  std::vector<std::string> texts;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    texts.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return texts;
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t mutations = 0;
  if (argc == 2 && std::filesystem::is_regular_file(argv[1])) {
    std::ifstream file(argv[1], std::ios::binary);
    run({std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()});
    return 0;
  }
  if (argc != 3 ||
      std::from_chars(argv[2], argv[2] + std::strlen(argv[2]), mutations).ptr == argv[2]) {
    std::fprintf(stderr, "usage: %s CORPUS_FOLDER MUTATIONS_OF_EACH_FILE, or one FILE\n", argv[0]);
    return 2;
  }
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE})
    std::signal(signal, keep_input);
  const auto corpus = read_folder(argv[1]);
  if (corpus.empty()) {
    std::fprintf(stderr, "no corpus in %s\n", argv[1]);
    return 2;
  }
  Random random(1);
  for (const auto& text : corpus) {
    run(text);
    for (std::size_t i = 0; i < mutations; ++i)
      run(mutant(text, random.pick(corpus), random));
  }
  std::printf("%zu inputs\n", corpus.size() * (mutations + 1));
  return 0;
}
