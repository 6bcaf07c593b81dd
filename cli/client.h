// SPDX-License-Identifier: Apache-2.0
//
// om's end of the control socket: one request, one answer. If no daemon is there, or it does not answer in time, that
// is an Answer like any other failure, so that verbs fail in only one way.
#pragma once

#include <string>

#include "common/base/clock.h"
#include "common/net/control.h"

namespace om::cli {

// Waits up to `limit` for the answer. Own codes: NO_DAEMON (exit 3), TIMEOUT (exit 7).
Answer request(const std::string& control_path, const Json& request,
               Milliseconds limit = Milliseconds(30000));

// The same, to the daemon at client_control_path().
Answer request(const Json& request, Milliseconds limit = Milliseconds(30000));

}  // namespace om::cli
