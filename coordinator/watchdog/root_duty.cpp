#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <thread>

#include "coordinator/watchdog/background.h"
#include "coordinator/watchdog/duty.h"
#include "coordinator/watchdog/parting.h"
#include "coordinator/watchdog/slow_ranks.h"

namespace lockstep {
namespace {

std::vector<RankRoll::Entry> all_ranks(const std::vector<std::string>& hosts) {
  std::vector<RankRoll::Entry> entries;
  for (std::size_t i = 0; i < hosts.size(); ++i)
    entries.push_back({static_cast<int>(i), hosts[i]});
  return entries;
}

class RootDuty : public Duty {
 public:
  RootDuty(const WatchdogSetup& setup, const ProgressBoard& board, pthread_t watched)
      : setup_(setup),
        board_(board),
        watched_(watched),
        roll_(all_ranks(setup.hosts), 0),
        slow_(setup.hosts.size()),
        peers_(setup.hosts.size()),
        sent_(setup.hosts.size()) {
    if (setup.link)
      gate_.emplace(
          PacketGate::of_root(setup.link->nonce, static_cast<std::uint32_t>(setup.hosts.size())));
  }

  void hear(std::span<const std::byte> bytes, const UdpPeer& from, double now_s) override {
    const auto packet = gate_ ? gate_->admit(bytes) : std::nullopt;
    if (!packet) return;
    if (packet->kind == PacketKind::kHung) {
      const auto phase = board_.standing().phase;
      end({{0, setup_.hosts[0], phase, true, silence_limit_s(setup_.rule)}});
    }
    roll_.hear(packet->rank, packet->standing, now_s);
    if (packet->signal != 0 && setup_.heard_stop_signal) setup_.heard_stop_signal(packet->signal);
    peers_[packet->rank] = from;
    if (packet->kind == PacketKind::kLeave) {
      roll_.leave(packet->rank);
      return send(parting_ ? PacketKind::kLeave : PacketKind::kAnswer, packet->rank);
    }
    slow_.hear(packet->rank, seconds_of(packet->pace));
    send(PacketKind::kAnswer, packet->rank);
  }

  void tick(double now_s) override {
    if (!parting_) roll_.hear(0, board_.standing(), now_s);
    const auto culprits = roll_.judge(setup_.rule, board_.iteration_seconds(), now_s);
    if (!culprits.empty()) {
      setup_.voice.error(lines_of(culprits));
      end(culprits);
    }
    if (!warned_ && now_s > silence_limit_s(setup_.rule)) warn_of_unheard();
    if (now_s < next_look_s_) return;
    next_look_s_ = now_s + setup_.rule.heartbeat_seconds;
    slow_.hear(0, board_.work_seconds());
    for (const auto rank : slow_.find())
      warn_of_slow(rank);
    if (setup_.on_look) show(now_s);
  }

  void leave() override { send_to_all(PacketKind::kLeave); }

  // Only who has left itself is told, in answer: so it knows that it was heard, and that it may go.
  void part() override {
    parting_ = true;
    roll_.leave(0);
    for (std::uint32_t rank = 1; rank < peers_.size(); ++rank)
      if (roll_.left(rank)) send(PacketKind::kLeave, rank);
  }

  bool all_left() const override { return roll_.all_left(); }

 private:
  void send(PacketKind kind, std::uint32_t rank) {
    if (!setup_.link || !peers_[rank]) return;
    const Packet packet{kind, rank, ++sent_[rank], board_.standing(),
                        pace_of(board_.work_seconds())};
    setup_.link->socket.send(encode(packet, setup_.link->nonce), *peers_[rank]);
  }

  void send_to_all(PacketKind kind) {
    for (std::uint32_t rank = 1; rank < peers_.size(); ++rank)
      send(kind, rank);
  }

  void show(double now_s) const {
    auto sights = roll_.sights(now_s);
    for (std::size_t i = 0; i < sights.size(); ++i)
      sights[i].work_s = slow_.seconds(i);
    setup_.on_look(std::move(sights));
  }

  void warn_of_unheard() {
    warned_ = true;
    std::vector<std::size_t> unheard;
    for (std::size_t i = 1; i < setup_.hosts.size(); ++i)
      if (!roll_.heard(i)) unheard.push_back(i);
    if (unheard.empty()) return;
    setup_.voice.warning("watchdog: nothing was heard of " + std::to_string(unheard.size()) +
                         " ranks, the first is rank " + std::to_string(unheard.front()) + " (" +
                         setup_.hosts[unheard.front()] +
                         "): each of them is watched by itself alone");
  }

  void warn_of_slow(std::size_t rank) const {
    std::array<char, 100> text{};
    std::snprintf(text.data(), text.size(),
                  "): slow: %.3g s of work in an iteration, the median of all ranks is %.3g s",
                  slow_.seconds(rank), slow_.median());
    setup_.voice.warning("rank " + std::to_string(rank) + " (" + setup_.hosts[rank] + text.data());
  }

  // Nobody leaves before word is left: once one rank has, the launcher ends the others. Until then
  // they go on being answered.
  [[noreturn]] void end(const std::vector<Culprit>& culprits) {
    constexpr double kRecordSeconds = 5;
    constexpr int kOrders = 3;  // packets may be lost
    constexpr auto kPause = std::chrono::milliseconds(100);
    const auto record = [record = setup_.record, culprits] { record(culprits); };
    if (setup_.record &&
        !finish_within(kRecordSeconds, record, [this] { send_to_all(PacketKind::kAnswer); }))
      setup_.voice.warning("outcome.json is not written: the store does not answer");
    send_to_all(PacketKind::kEnd);
    print_stack(setup_.voice, "rank 0 (" + setup_.hosts[0] + ")", watched_);
    if (setup_.conclusion) setup_.voice.error({setup_.conclusion()});
    for (int i = 1; i < kOrders; ++i) {
      std::this_thread::sleep_for(kPause);
      send_to_all(PacketKind::kEnd);
    }
    leave_hung_job();
  }

  const WatchdogSetup& setup_;
  const ProgressBoard& board_;
  pthread_t watched_;
  RankRoll roll_;
  SlowRanks slow_;
  std::optional<PacketGate> gate_;
  std::vector<std::optional<UdpPeer>> peers_;  // where each rank was last heard from
  std::vector<std::uint32_t> sent_;            // sequence, to each rank
  double next_look_s_ = 0;
  bool warned_ = false;
  bool parting_ = false;
};

}  // namespace

std::unique_ptr<Duty> make_root_duty(const WatchdogSetup& setup, const ProgressBoard& board,
                                     pthread_t watched) {
  return std::make_unique<RootDuty>(setup, board, watched);
}

}  // namespace lockstep
