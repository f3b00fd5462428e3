#pragma once

#include <concepts>
#include <exception>
#include <string>

#include <gtest/gtest.h>

#include "common/error.h"

namespace lockstep::testing {

// The text of the Error with `code` that `fn` throws; a failure and "" where it throws none or
// another.
template <std::invocable Fn>
std::string error_of(ErrorCode code, Fn&& fn) {
  try {
    fn();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.code() == code ? error.what() : "";
  } catch (const std::exception& error) {
    ADD_FAILURE() << "not an Error: " << error.what();
    return "";
  }
  ADD_FAILURE() << "no error";
  return "";
}

// Each prefix of `text`, and `text` with each single bit flipped, must make `parse` throw kDamaged.
template <std::invocable<const std::string&> Parse>
void expect_every_damage_is_seen(const std::string& text, Parse&& parse) {
  const auto is_damaged = [&](const std::string& damaged) {
    try {
      parse(damaged);
    } catch (const Error& error) {
      return error.code() == ErrorCode::kDamaged;
    }
    return false;
  };
  EXPECT_NO_THROW(parse(text));
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_TRUE(is_damaged(text.substr(0, size))) << "cut to " << size << " bytes";
  }
  for (std::size_t bit = 0; bit < text.size() * 8; ++bit) {
    std::string flipped = text;
    flipped[bit / 8] =
        static_cast<char>(static_cast<unsigned char>(flipped[bit / 8]) ^ (1U << (bit % 8)));
    EXPECT_TRUE(is_damaged(flipped)) << "bit " << bit % 8 << " of byte " << bit / 8;
  }
  EXPECT_TRUE(is_damaged(text + " "));
  EXPECT_TRUE(is_damaged(text + text));
}

}  // namespace lockstep::testing
