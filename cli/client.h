// SPDX-License-Identifier: Apache-2.0
//
// om's end of the control socket: one request, one answer. A daemon that is not there, or does not answer in
// time, gives an Answer like any other failure, so that verbs have one way of failing.
#pragma once

#include <string>

#include "common/base/clock.h"
#include "common/net/control.h"

namespace om::cli {

// Blocks up to `limit` for the answer. Codes of its own: NO_DAEMON (exit 3), TIMEOUT (exit 7).
Answer request(const std::string& control_path, const Json& request,
               Milliseconds limit = Milliseconds(30000));

// The same to the daemon of client_control_path().
Answer request(const Json& request, Milliseconds limit = Milliseconds(30000));

}  // namespace om::cli
