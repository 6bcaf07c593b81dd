// SPDX-License-Identifier: Apache-2.0
//
// The certificate authority of a cluster, on the machines that may sign: makes certificates for nodes. Its key and its
// certificate are one file, `ca.key`, written at once; another machine becomes a signer by the exported file and its
// passphrase. All members have the certificate alone.
//
// It does not decide who joins: whoever calls sign() has checked a token, or the certificate that is to be renewed.
#pragma once

#include <stdint.h>

#include <string>
#include <string_view>

#include "common/base/clock.h"
#include "common/base/own_directory.h"
#include "common/base/result.h"
#include "common/tls/certificate.h"
#include "common/tls/hkdf.h"
#include "common/tls/openssl.h"

namespace om::migrator {

// Of nodes' certificates.
constexpr std::chrono::hours kCertificateLife{30 * 24};
// Of the CA's own.
constexpr std::chrono::hours kCaLife{10 * 365 * 24};
// A certificate is valid from so long ago on, for nodes whose clocks are late. A clock that is early makes it end
// early, which is harmless: it is renewed at two thirds.
constexpr std::chrono::minutes kClockTolerance{5};
// Of an exported CA.
constexpr size_t kMinPassphrase = 8;
constexpr size_t kMaxPassphrase = 512;

// What a PKCS#10 request is for.
struct RequestSubject {
  std::string name;  // the only part of its subject; not checked
  NodeId id;         // of its key
};
// Errors: the request is longer than 4 KiB, or is not signed by its own P-256 key.
Result<RequestSubject> read_request(std::string_view request);

class ClusterCa {
 public:
  static constexpr const char* kFileName = "ca.key";

  // A new one. `cluster`: a name like a node's.
  static Result<ClusterCa> make(const std::string& cluster, WallTime now);
  // Errors: ENOENT if this machine is no signer; those of a file that others may read; a key that does not belong to
  // the certificate.
  static Result<ClusterCa> open(const OwnDirectory& state);
  // EEXIST if there is one already.
  Result<void> save(const OwnDirectory& state) const;

  // Signs a PKCS#10 request (PEM or none of ours): the result, PEM, is valid for kCertificateLife from `now` on.
  // `name`: what the node is to be called; `number`: its small number (common/tls/certificate.h). Errors: the request
  // is longer than 4 KiB, is not signed by its own P-256 key, or asks for another name; the CA ends before.
  Result<std::string> sign(std::string_view request, const std::string& name, uint32_t number,
                           WallTime now) const;

  // The signature of something else than a certificate: ECDSA with SHA-256, DER. `text` begins with words that say what
  // it is for, so that it can be nothing else.
  Result<std::string> sign_text(std::string_view text) const;

  // A key for one purpose that all machines with the CA have, and nobody else.
  Result<DerivedKey> derive(std::string_view purpose) const;

  const std::string& cluster() const { return cluster_; }
  Result<std::string> certificate_pem() const { return certificate_to_pem(certificate_.get()); }
  // SHA-256 of the certificate's DER, 32 bytes: what a token has of it.
  std::string hash() const { return sha256(der_of(certificate_.get())); }

  // Certificate, and key as PKCS#8 under AES-256 with a key from the passphrase by scrypt. Errors: a passphrase shorter
  // than kMinPassphrase or longer than kMaxPassphrase.
  Result<std::string> export_text(const std::string& passphrase) const;
  // Errors: a wrong passphrase, a damaged file, no CA.
  static Result<ClusterCa> import_text(std::string_view text, const std::string& passphrase);

 private:
  ClusterCa(KeyPtr key, X509Ptr certificate, std::string cluster)
      : key_(std::move(key)), certificate_(std::move(certificate)), cluster_(std::move(cluster)) {}
  static Result<ClusterCa> check(KeyPtr key, X509Ptr certificate);

  KeyPtr key_;
  X509Ptr certificate_;
  std::string cluster_;
};

}  // namespace om::migrator
