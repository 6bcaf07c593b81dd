// SPDX-License-Identifier: Apache-2.0
//
// Ownership, errors and texts for OpenSSL, which does all cryptography of the hosted programs. Functions return an
// Error with one line made from OpenSSL's error queue, and leave the queue of their thread empty.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace om {

template <auto Free>
struct OpensslFree {
  template <class T>
  void operator()(T* object) const noexcept {
    Free(object);
  }
};

using BioPtr = std::unique_ptr<BIO, OpensslFree<BIO_free_all>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, OpensslFree<EVP_PKEY_free>>;
using X509Ptr = std::unique_ptr<X509, OpensslFree<X509_free>>;
using X509RequestPtr = std::unique_ptr<X509_REQ, OpensslFree<X509_REQ_free>>;

constexpr size_t kSha256Bytes = 32;
// No certificate, key or request of ours comes near it.
constexpr size_t kMaxPemBytes = 16 << 10;

// Empties the queue; the reason of the newest error, as in "certificate verify failed", or "no reason given".
std::string take_openssl_error();
// An Error "WHAT: reason" from the queue.
Error openssl_error(std::string_view what);

// 32 bytes. An empty string only if OpenSSL has no memory.
std::string sha256(std::string_view bytes);
// 32 bytes; empty as above.
std::string hmac_sha256(std::string_view key, std::string_view bytes);
// Errors: the generator has no seed.
Result<std::string> random_bytes(size_t count);
// In a time that depends on the sizes only; false if these differ.
bool equal_secrets(std::string_view a, std::string_view b);

// Makes a P-256 key.
Result<KeyPtr> make_key();
bool is_p256(EVP_PKEY* key);
// PKCS#8, not encrypted.
Result<std::string> key_to_pem(EVP_PKEY* key);
// The first private key in `pem` (at most kMaxPemBytes). `passphrase` opens an encrypted one; without it that is an
// Error. Never asks at a terminal.
Result<KeyPtr> key_from_pem(std::string_view pem, const std::string& passphrase = {});

Result<std::string> certificate_to_pem(X509* certificate);
// The first certificate in `pem` (at most kMaxPemBytes).
Result<X509Ptr> certificate_from_pem(std::string_view pem);

// DER of a certificate; of a public key as SubjectPublicKeyInfo. Empty if OpenSSL refuses.
std::string der_of(X509* certificate);
std::string public_key_der(EVP_PKEY* key);

// The only common name of a subject, or an empty string.
std::string common_name(const X509_NAME* subject);
// Gives the subject one. False if OpenSSL refuses.
bool add_common_name(X509_NAME* subject, const std::string& name);
// The bytes of a string; none of nullptr.
std::string text_of(const ASN1_STRING* text);

// For reading; the text must outlive it.
BioPtr bio_of(std::string_view text);
// What has been written to a memory BIO.
std::string text_of(BIO* bio);

}  // namespace om
