// SPDX-License-Identifier: Apache-2.0
//
// The one line by which a machine joins a cluster:
//
//   lab.7f3k2m5q...     NAME.base32(ID SECRET HASH CHECK)
//
// NAME is the cluster's, ID (5 bytes: the first 8 characters) names the token in lists, SECRET (16 bytes) is never
// sent, HASH (32 bytes) is the SHA-256 of the CA's certificate, by which the joiner believes the server, and CHECK
// (3 bytes of SHA-256) finds mistyped ones. Base32 is that of RFC 4648, in lower case and without padding.
//
// A joiner proves that it has SECRET by an HMAC-SHA256 over a value of the TLS exporter, which is another for each
// connection: a proof that somebody has recorded is worth nothing. The key of the HMAC is the hash of SECRET, so that a
// signer need not keep SECRET itself.
#pragma once

#include <string>
#include <string_view>

#include "common/base/result.h"

namespace om::migrator {

constexpr size_t kTokenIdBytes = 5;
constexpr size_t kTokenSecretBytes = 16;
// Of the TLS exporter, with this label.
constexpr size_t kProofInputBytes = 32;
inline constexpr const char* kProofLabel = "EXPORTER-openmosix-join";

struct Token {
  std::string cluster;
  std::string id;       // kTokenIdBytes
  std::string secret;   // kTokenSecretBytes
  std::string ca_hash;  // 32 bytes

  // A random id and secret. Errors: no cluster name, a hash of another size.
  static Result<Token> make(const std::string& cluster, const std::string& ca_hash);
  // Blanks around it are ignored. Errors: anything but what text() gives, with a line that does not contain it.
  static Result<Token> parse(std::string_view text);

  std::string text() const;
  std::string id_text() const;  // 8 characters
  // What a signer keeps: 32 bytes.
  std::string proof_key() const;
};

// Proof of a token: 32 bytes. `exporter`: kProofInputBytes of the connection on which it is sent.
std::string token_proof(std::string_view proof_key, std::string_view exporter);

// RFC 4648, lower case, without padding.
std::string to_base32(std::string_view bytes);
// Errors: other characters, a length or last bits that to_base32() does not give.
Result<std::string> from_base32(std::string_view text);

}  // namespace om::migrator
