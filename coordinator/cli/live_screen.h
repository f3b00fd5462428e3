#pragma once

#include <string>

namespace lockstep::cli {

// The terminal while a picture on it is drawn anew again and again: its second screen, without a
// cursor, keys not shown. All is as before when this one goes, and when a signal ends or stops the
// process: INT, TERM, HUP, QUIT, PIPE, TSTP, and those of a crash. One at a time. Local.
class LiveScreen {
 public:
  LiveScreen();
  ~LiveScreen();
  LiveScreen(const LiveScreen&) = delete;
  LiveScreen& operator=(const LiveScreen&) = delete;

  // Draws lines in place, in one write, so that nothing flickers. Error(kIo).
  void show(const std::string& picture) const;
  // Waits for so long, or until the terminal's size has changed. true: `q` was typed.
  bool wait_for_quit(double seconds);

 private:
  bool has_keys_;  // stdin is a terminal
};

}  // namespace lockstep::cli
