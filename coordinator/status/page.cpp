#include "coordinator/status/page.h"

#include <string>
#include <string_view>

#include "common/file_system.h"

namespace lockstep {

// Of page/, joined when this was built (deploy/cmake/JoinPage.cmake).
extern const std::string_view kDashboardPage;

HttpAnswer dashboard_page() {
  constexpr std::string_view kPlace = "@NONCE@";
  constexpr std::size_t kNonceDigits = 32;
  const auto nonce = random_hex(kNonceDigits);
  HttpAnswer answer;
  answer.type = "text/html; charset=utf-8";
  answer.policy = "default-src 'none'; script-src 'nonce-" + nonce + "'; style-src 'nonce-" +
                  nonce +
                  "'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
                  "frame-ancestors 'none'";
  std::size_t from = 0;
  for (auto at = kDashboardPage.find(kPlace); at != std::string_view::npos;
       at = kDashboardPage.find(kPlace, from)) {
    answer.body += kDashboardPage.substr(from, at - from);
    answer.body += nonce;
    from = at + kPlace.size();
  }
  answer.body += kDashboardPage.substr(from);
  return answer;
}

}  // namespace lockstep
