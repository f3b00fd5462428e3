#include "coordinator/watchdog/background.h"
#include "coordinator/watchdog/duty.h"
#include "coordinator/watchdog/parting.h"

namespace lockstep {
namespace {

class RankDuty : public Duty {
 public:
  RankDuty(const WatchdogSetup& setup, const ProgressBoard& board, pthread_t watched)
      : setup_(setup),
        board_(board),
        watched_(watched),
        root_({{0, setup.hosts.front()}}, 0),
        self_({{setup.rank, setup.hosts.back()}}, 0) {
    if (setup.link)
      gate_.emplace(PacketGate::of_rank(setup.link->nonce, static_cast<std::uint32_t>(setup.rank)));
  }

  void hear(std::span<const std::byte> bytes, const UdpPeer& from, double now_s) override {
    const auto packet = gate_ ? gate_->admit(bytes) : std::nullopt;
    if (!packet) return;
    if (packet->kind == PacketKind::kEnd) end();
    if (packet->kind == PacketKind::kLeave) {
      root_has_left_ = true;
      return root_.leave(0);
    }
    root_.hear(0, packet->standing, now_s);
    peer_ = from;
    answered_s_ = now_s;
  }

  void tick(double now_s) override {
    const auto standing = board_.standing();
    self_.hear(0, standing, now_s);
    const auto signal = stop_signal();
    // At once in a new phase: what is known last of a rank is what is said of it. And at once with
    // a stop signal: rank 0 may be waiting, for as long as it must.
    if (now_s >= next_beat_s_ || standing.phase != sent_phase_ || signal != sent_signal_) {
      beat(now_s);
      sent_phase_ = standing.phase;
      sent_signal_ = signal;
      next_beat_s_ = now_s + setup_.rule.heartbeat_seconds;
    }
    const auto root_silent = root_.silent(root_limit_s(), now_s);
    if (!root_silent.empty()) {
      const auto seconds = std::to_string(static_cast<long long>(root_silent.front().seconds));
      setup_.voice.error(
          {to_text(root_silent.front()) + "; its phase is as last heard, " + seconds + " s ago"});
      if (const auto text = setup_.conclusion ? setup_.conclusion() : ""; !text.empty())
        setup_.voice.error({text});
      send(PacketKind::kHung);
      end();
    }
    if (!root_.heard(0) && !root_has_left_ && !parting_) judge_alone(now_s);
  }

  void leave() override {
    send(PacketKind::kLeave);
    send(PacketKind::kLeave);
  }

  void part() override {
    parting_ = true;
    send(PacketKind::kLeave);
  }

  bool all_left() const override { return root_.all_left(); }

 private:
  // Whoever does not speak lets another rank of its host leave first: then it is either ordered to
  // end or ended, and says nothing. Answers to two ranks are at most a heartbeat apart.
  double root_limit_s() const {
    const double later = 1 + setup_.rule.heartbeat_seconds;
    return silence_limit_s(setup_.rule) + (setup_.speaks ? 0 : later);
  }

  std::uint8_t stop_signal() const {
    return setup_.stop_signal ? static_cast<std::uint8_t>(setup_.stop_signal()) : std::uint8_t{0};
  }

  // To the address that answers; to all while none does.
  void send(PacketKind kind) {
    if (!setup_.link) return;
    const auto& link = *setup_.link;
    const Packet packet{kind,
                        static_cast<std::uint32_t>(setup_.rank),
                        ++sent_,
                        board_.standing(),
                        pace_of(board_.work_seconds()),
                        stop_signal()};
    const auto bytes = encode(packet, link.nonce);
    if (peer_) return link.socket.send(bytes, *peer_);
    for (const auto& peer : link.root)
      link.socket.send(bytes, peer);
  }

  void beat(double now_s) {
    constexpr double kBeats = 3;
    if (peer_ && now_s - answered_s_ > kBeats * setup_.rule.heartbeat_seconds) peer_.reset();
    send(parting_ ? PacketKind::kLeave : PacketKind::kBeat);
  }

  void judge_alone(double now_s) {
    if (now_s <= silence_limit_s(setup_.rule)) return;
    if (!warned_)
      setup_.voice.warning("watchdog: rank 0 does not answer " + who() +
                           ": it is watched by itself alone");
    warned_ = true;
    const auto phase = board_.standing().phase;
    if (phase == Phase::kRestore) return;  // rank 0 decides as long as it must
    const StallRule twice{.heartbeat_seconds = setup_.rule.heartbeat_seconds,
                          .stall_seconds = 2 * setup_.rule.stall_seconds,
                          .join_seconds = 2 * setup_.rule.join_seconds};
    const auto culprits = self_.judge(twice, 2 * board_.iteration_seconds(), now_s);
    if (culprits.empty()) return;
    setup_.voice.error(lines_of(culprits));
    end();
  }

  std::string who() const {
    return "rank " + std::to_string(setup_.rank) + " (" + setup_.hosts.back() + ")";
  }

  [[noreturn]] void end() {
    print_stack(setup_.voice, who(), watched_);
    leave_hung_job();
  }

  const WatchdogSetup& setup_;
  const ProgressBoard& board_;
  pthread_t watched_;
  RankRoll root_;
  RankRoll self_;
  std::optional<PacketGate> gate_;
  std::optional<UdpPeer> peer_;
  std::uint32_t sent_ = 0;
  Phase sent_phase_ = Phase::kLaunch;
  std::uint8_t sent_signal_ = 0;
  double next_beat_s_ = 0;
  double answered_s_ = 0;
  bool root_has_left_ = false;
  bool parting_ = false;
  bool warned_ = false;
};

}  // namespace

std::unique_ptr<Duty> make_rank_duty(const WatchdogSetup& setup, const ProgressBoard& board,
                                     pthread_t watched) {
  return std::make_unique<RankDuty>(setup, board, watched);
}

}  // namespace lockstep
