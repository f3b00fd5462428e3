#include "coordinator/daemon/supervision.h"

#include <charconv>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/agree.h"
#include "common/attempt_records.h"
#include "common/error.h"
#include "common/file_system.h"
#include "common/json_members.h"
#include "common/sealed_json.h"
#include "coordinator/attempt.h"
#include "coordinator/liveness.h"
#include "coordinator/watchdog/background.h"
#include "coordinator/watchdog/parting.h"
#include "worker/stop_signals.h"

namespace lockstep {

namespace {

// What rank 0 tells the others of how to reach it.
struct Invitation {
  std::string nonce;
  std::int64_t port = 0;  // 0: rank 0 has no socket
  std::string host;
  std::vector<std::string> addresses;
  std::string speakers;  // a digit a rank: 1 for the lowest one on each host, rank 0 not counted
};

std::string encode(const Invitation& invitation) {
  return seal({{"nonce", invitation.nonce},
               {"port", invitation.port},
               {"host", invitation.host},
               {"addresses", invitation.addresses},
               {"speakers", invitation.speakers}});
}

Invitation decode_invitation(const std::string& bytes) {
  constexpr auto kWhat = "the watchdog's invitation";
  const auto object = unseal(bytes, kWhat);
  return {.nonce = text_member(object, "nonce", kWhat),
          .port = integer_member(object, "port", kWhat),
          .host = text_member(object, "host", kWhat),
          .addresses = texts_member(object, "addresses", kWhat),
          .speakers = text_member(object, "speakers", kWhat)};
}

std::string lowest_on_each_host(const std::vector<std::string>& hosts) {
  std::set<std::string> seen;
  std::string speakers;
  for (std::size_t i = 0; i < hosts.size(); ++i)
    speakers += i > 0 && seen.insert(hosts[i]).second ? '1' : '0';
  return speakers;
}

std::optional<UdpSocket> try_socket(const Voice& voice) {
  try {
    return UdpSocket();
  } catch (const Error& e) {
    voice.warning("watchdog: " + std::string(e.what()) + ": each rank is watched by itself alone");
    return std::nullopt;
  }
}

std::uint64_t number_of(const std::string& hex) {
  constexpr int kBase = 16;
  std::uint64_t number = 0;
  std::from_chars(hex.data(), hex.data() + hex.size(), number, kBase);
  return number;
}

std::vector<UdpPeer> ways_to_root(const Invitation& invitation, const std::string& own_host,
                                  const UdpSocket& socket) {
  auto addresses = invitation.addresses;
  if (own_host == invitation.host) addresses.insert(addresses.begin(), "127.0.0.1");
  std::vector<UdpPeer> ways;
  for (const auto& address : addresses)
    if (auto peer = socket.peer(address, static_cast<std::uint16_t>(invitation.port)))
      ways.push_back(*peer);
  return ways;
}

// Through files of its own: what the training thread uses may be what hangs.
std::function<void(const std::vector<Culprit>&)> recorder(const std::shared_ptr<AttemptNote>& note,
                                                          const std::string& store,
                                                          const Voice& voice) {
  return [note, store, voice, files = std::shared_ptr<FileSystem>(make_posix_file_system())](
             const std::vector<Culprit>& culprits) {
    const auto attempt = note->attempt.load();
    if (attempt == 0 || note->ended.exchange(true)) return;
    Outcome outcome{OutcomeKind::kFailed, kHungExitCode, std::nullopt, error_of(culprits), {}};
    if (note->committed >= 0) outcome.last_committed_iteration = note->committed;
    for (const auto& culprit : culprits)
      outcome.silent.push_back({culprit.rank, culprit.host, std::string(to_text(culprit.phase))});
    try {
      require_same_store(*files, store, note->store_id);
      write_outcome(*files, store, attempt, outcome);
    } catch (const Error& e) {
      voice.warning("outcome.json: " + std::string(e.what()));
    }
  };
}

// `root`: where it is rank 0 that says it; others do not know what was claimed and committed.
std::string conclusion_of(const AttemptNote& note, bool root) {
  if (note.done)
    return "exit 76: the job had done its work, and nothing is lost; "
           "with 0 the launcher would wait for the rank that hangs at its end";
  if (!root) return "";
  const std::string ends = "exit 76: the job hung, and has ended";
  if (note.closed) return ends + "; outcome.json was written before, and stands; launch it again";
  if (note.attempt == 0) return ends + "; nothing was claimed; launch it again";
  if (note.committed < 0)
    return ends +
           "; this attempt has committed nothing; launch it again, without the hosts that "
           "were named";
  return ends + "; what came after iteration " + std::to_string(note.committed) +
         ", the last commit, is lost; launch it again, without the hosts that were named, to carry "
         "on from there";
}

}  // namespace

void start_watchdog(const Comm& comm, const LoadedConfig& loaded, Supervision& supervision) {
  const auto own_host = this_process().host;
  const Voice voice(loaded.config.log.json);
  const auto hosts = gather_texts(comm, own_host);
  std::optional<UdpSocket> socket;
  const auto bytes = root_decides(comm, "start the watchdog", [&] {
    constexpr std::size_t kNonceDigits = 16;
    Invitation invitation{random_hex(kNonceDigits), 0, own_host, {}, lowest_on_each_host(hosts)};
    if (comm.size() > 1) socket = try_socket(voice);
    if (!socket) return encode(invitation);
    invitation.port = socket->port();
    invitation.addresses = own_addresses();
    return encode(invitation);
  });
  agree(comm, "start the watchdog", [&] {
    const auto invitation = decode_invitation(bytes);
    const auto& config = loaded.config.watchdog;
    WatchdogSetup setup{
        .rule = {config.heartbeat_seconds, config.stall_seconds, config.join_seconds},
        .rank = comm.rank(),
        .hosts = comm.is_root() ? hosts : std::vector<std::string>{invitation.host, own_host},
        .speaks = invitation.speakers.at(static_cast<std::size_t>(comm.rank())) == '1',
        .link = std::nullopt,
        .record = recorder(supervision.note, loaded.paths.store, voice),
        .voice = voice,
        .conclusion = [note = supervision.note,
                       root = comm.is_root()] { return conclusion_of(*note, root); },
        .stop_signal = stop_signal_received,
        .heard_stop_signal = [&supervision](int signal) { supervision.heard_stop_signal = signal; },
        .on_look =
            [&supervision](std::vector<RankSight> ranks) {
              supervision.figures.ranks(std::move(ranks));
            }};
    if (!comm.is_root() && invitation.port != 0) socket = try_socket(voice);
    if (socket) {
      auto root =
          comm.is_root() ? std::vector<UdpPeer>() : ways_to_root(invitation, own_host, *socket);
      setup.link.emplace(
          WatchdogLink{std::move(*socket), number_of(invitation.nonce), std::move(root)});
    }
    supervision.watchdog = std::make_unique<Watchdog>(supervision.board, std::move(setup));
  });
  supervision.launch.reset();
}

}  // namespace lockstep
