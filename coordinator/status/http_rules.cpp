#include "coordinator/status/http_rules.h"

#include <algorithm>

namespace lockstep {

std::size_t connections_for(std::size_t descriptors) {
  constexpr std::size_t kTraining = 128;
  constexpr std::size_t kShare = 4;
  if (descriptors <= kTraining) return 1;
  return std::clamp<std::size_t>((descriptors - kTraining) / kShare, 1, kMostConnections);
}

int limit_broken(std::string_view head_so_far) {
  const auto line = head_so_far.substr(0, head_so_far.find("\r\n"));
  if (line.size() > kMostOfALineBytes) return 414;
  return head_so_far.size() > kMostOfAHeadBytes ? 431 : 0;
}

bool is_well_formed(std::string_view head) {
  for (std::size_t i = 0; i < head.size(); ++i) {
    const auto c = static_cast<unsigned char>(head[i]);
    const bool ends_line = c == '\r' && i + 1 < head.size() && head[i + 1] == '\n';
    if (!ends_line && (c == 0x7F || (c < ' ' && c != '\t'))) return false;
    if (!ends_line) continue;
    ++i;
    const bool folded = i + 1 < head.size() && (head[i + 1] == ' ' || head[i + 1] == '\t');
    if (folded) return false;
  }
  return true;
}

int judge(const RequestFacts& request, const ListenAddress& address) {
  if (request.method != "GET") return 405;
  if (request.hosts.size() != 1 || request.hosts.front().empty()) return 400;
  if (!is_host_of(request.hosts.front(), address)) return 403;
  if (request.has_origin) return 403;
  return request.has_body ? 413 : 200;
}

std::string refusal_text(int status, const ListenAddress& address) {
  switch (status) {
    case 400:
      return "one Host header is needed, and a request that can be read";
    case 403:
      return address.is_unix()
                 ? "Host must be localhost, and there must be no Origin"
                 : "Host must be " + to_text(address) +
                       " or localhost:" + std::to_string(address.port) +
                       ", and there must be no Origin; forward the port to the same one: ssh -L " +
                       std::to_string(address.port) + ":" + to_text(address) + " HOST";
    case 404:
      return "there is /, /status, /metrics, /events, /api/lineage, /api/decision, /api/curves";
    case 405:
      return "GET only: lockstep save and lockstep stop ask the job through its store";
    case 413:
      return "no body is taken";
    case 414:
      return "the request line is longer than " + std::to_string(kMostOfALineBytes) + " bytes";
    case 431:
      return "the headers are longer than " + std::to_string(kMostOfAHeadBytes) + " bytes";
    case 503:
      return "too many connections; try again";
    default:
      return "refused";
  }
}

}  // namespace lockstep
