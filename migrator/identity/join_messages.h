// SPDX-License-Identifier: Apache-2.0
//
// The two messages of a join: what a machine that wants to become a member sends, and the answer. Each is one JSON line
// on an om-join/2 connection (common/tls/tls_context.h), on which nothing else is said. The joiner believes the other
// end because its CA has the hash that the token names; the other end believes the joiner because of the proof. How
// both go about it: migrator/cluster/join_talk.h.
#pragma once

#include <stdint.h>

#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/net/control.h"
#include "migrator/identity/cluster_files.h"
#include "migrator/identity/member_book.h"

namespace om::migrator {

constexpr size_t kMaxJoinRequest = 8 << 10;
constexpr size_t kMaxJoinAnswer = 512 << 10;
constexpr size_t kMaxJoinSigners = 8;

struct JoinRequest {
  uint32_t protocol = 0;            // kProtocol of the joiner
  std::string token;                // id, kTokenIdBytes
  std::string proof;                // 32 bytes: token_proof() over this connection
  std::string certificate_request;  // PKCS#10, PEM: the joiner's key, and its name
  std::string address;              // where it listens, numeric, with a port
};

struct JoinAnswer {
  bool ok = false;
  // If ok.
  std::string certificate;  // PEM
  GroupKey group_key;
  std::vector<KnownMember> members;  // those that the signer knows, itself first
  // Otherwise. With NO_SIGNER: where signers listen, which the joiner may ask.
  Failure failure;
  std::vector<std::string> signers;
};

// With its '\n'.
std::string to_line(const JoinRequest& request);
std::string to_line(const JoinAnswer& answer);

// Without the '\n'. Errors: anything that to_line() does not give; further fields are ignored.
Result<JoinRequest> parse_join_request(std::string_view line);
Result<JoinAnswer> parse_join_answer(std::string_view line);

}  // namespace om::migrator
