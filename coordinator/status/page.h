#pragma once

#include "coordinator/status/http_server.h"

namespace lockstep {

// The dashboard: one page with its styles, its script and Chart.js in it, that loads nothing and
// asks this server alone. Its policy lets in only what carries the nonce of this very answer.
// Local: the nonce is the kernel's.
HttpAnswer dashboard_page();

}  // namespace lockstep
