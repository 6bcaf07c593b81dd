// SPDX-License-Identifier: Apache-2.0
//
// What a node's certificate says. A node is its key: its id is made from the public key and stays the same over all
// renewals. The name is the common name and the only DNS name among the alternative names. The small number that the
// cluster's signer gave the node is the upper part of the serial number: 4 bytes of number (1 to 2^31-1), then 12
// random bytes, so that no two certificates of a node have the same one.
#pragma once

#include <openssl/x509.h>
#include <stdint.h>

#include <string>
#include <string_view>

#include "common/base/clock.h"
#include "common/base/node_id.h"
#include "common/base/result.h"

namespace om {

// `public_key`: DER of a SubjectPublicKeyInfo, which is hashed as it is.
NodeId node_id_of(std::string_view public_key);

constexpr uint32_t kMaxNodeNumber = 0x7fffffff;
constexpr size_t kSerialBytes = 16;

struct Certificate {
  std::string name;  // a valid_node_name()
  NodeId id;
  uint32_t number;         // 1 to kMaxNodeNumber
  std::string public_key;  // DER, SubjectPublicKeyInfo
  std::string der;         // the whole certificate
  WallTime not_before;
  WallTime not_after;
};

// Reads, but does not verify. Errors: no P-256 key, no such name, no such number.
Result<Certificate> describe_certificate(X509* certificate);
// The same for the first certificate in `pem`.
Result<Certificate> describe_certificate(std::string_view pem);

// Whether two thirds of the certificate's time are over.
bool renewal_due(const Certificate& certificate, WallTime now);

}  // namespace om
