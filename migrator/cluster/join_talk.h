// SPDX-License-Identifier: Apache-2.0
//
// How the two messages of a join (migrator/identity/join_messages.h) travel: over TLS with the protocol om-join/2, one
// line there, one line back, and the end. A connection may last kJoinLimit altogether, and takes no more memory than
// the longest message.
#pragma once

#include <functional>
#include <string>

#include "common/net/address.h"
#include "common/tls/tls_stream.h"
#include "common/uv/uvkj.h"
#include "migrator/identity/join_messages.h"
#include "migrator/identity/token.h"

namespace om::migrator {

constexpr Milliseconds kJoinLimit{15000};

// Decides on a request, now or later. `exporter`: kProofInputBytes of the connection. Called once.
using JoinJudge =
    std::function<kj::Promise<JoinAnswer>(const JoinRequest& request, const std::string& exporter)>;

// Serves one joiner. A request that is malformed or too long is answered by a refusal (BAD_REQUEST). Fulfilled when all
// has been said; fails like the stream, or when kJoinLimit is over. Dropping it closes the connection.
kj::Promise<void> serve_joiner(UvKj& kj, kj::Own<TlsStream> stream, JoinJudge judge);

struct JoinReply {
  JoinAnswer answer;
  std::string ca_pem;  // of the cluster; its hash is the token's
};

// Asks the node at `to` to let this machine in. `from`: the local address of the connection. `certificate_request`:
// PEM. `own_address`: where this machine listens. Fails: nobody is there, it is none of the token's cluster, it does
// not answer in time, or it does not speak the protocol; the exception's description is one line.
kj::Promise<JoinReply> ask_to_join(UvKj& kj, const Address& from, const Address& to,
                                   const Token& token, const std::string& certificate_request,
                                   const std::string& own_address);

}  // namespace om::migrator
