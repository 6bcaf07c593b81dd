// SPDX-License-Identifier: Apache-2.0
#include "common/tls/openssl.h"

#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <string.h>

#include <algorithm>

namespace om {
namespace {

const unsigned char* raw(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

// `user`: the passphrase, a std::string.
int give_passphrase(char* buffer, int size, int, void* user) noexcept {
  const auto& passphrase = *static_cast<const std::string*>(user);
  if (passphrase.empty() || passphrase.size() > static_cast<size_t>(size)) return -1;
  ::memcpy(buffer, passphrase.data(), passphrase.size());
  return static_cast<int>(passphrase.size());
}

// DER of anything, by its i2d function.
template <class T, class Encode>
std::string encode(T* object, Encode&& encode_to) {
  unsigned char* out = nullptr;
  const int size = encode_to(object, &out);
  if (size <= 0) {
    ::ERR_clear_error();
    return "";
  }
  std::string der(reinterpret_cast<const char*>(out), static_cast<size_t>(size));
  ::OPENSSL_free(out);
  return der;
}

}  // namespace

std::string take_openssl_error() {
  const unsigned long error = ::ERR_peek_last_error();
  const char* reason = error == 0 ? nullptr : ::ERR_reason_error_string(error);
  std::string text = reason == nullptr ? "no reason given" : reason;
  ::ERR_clear_error();
  return text;
}

Error openssl_error(std::string_view what) {
  return plain_error(std::string(what) + ": " + take_openssl_error());
}

std::string sha256(std::string_view bytes) {
  std::string out(kSha256Bytes, '\0');
  unsigned int size = 0;
  if (::EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(out.data()), &size,
                   ::EVP_sha256(), nullptr) != 1) {
    ::ERR_clear_error();
    return "";
  }
  return out;
}

std::string hmac_sha256(std::string_view key, std::string_view bytes) {
  std::string out(kSha256Bytes, '\0');
  unsigned int size = 0;
  if (::HMAC(::EVP_sha256(), key.data(), static_cast<int>(key.size()), raw(bytes), bytes.size(),
             reinterpret_cast<unsigned char*>(out.data()), &size) == nullptr) {
    ::ERR_clear_error();
    return "";
  }
  return out;
}

Result<std::string> random_bytes(size_t count) {
  std::string out(count, '\0');
  if (::RAND_bytes(reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(count)) != 1)
    return openssl_error("random bytes");
  return out;
}

bool equal_secrets(std::string_view a, std::string_view b) {
  return a.size() == b.size() && ::CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

Result<KeyPtr> make_key() {
  KeyPtr key(::EVP_EC_gen("P-256"));
  if (key == nullptr) return openssl_error("make a key");
  return key;
}

bool is_p256(EVP_PKEY* key) {
  char group[32] = "";
  size_t size = 0;
  const bool known = ::EVP_PKEY_is_a(key, "EC") == 1 &&
                     ::EVP_PKEY_get_group_name(key, group, sizeof group, &size) == 1;
  ::ERR_clear_error();
  return known && ::strcmp(group, SN_X9_62_prime256v1) == 0;
}

Result<std::string> key_to_pem(EVP_PKEY* key) {
  BioPtr bio(::BIO_new(::BIO_s_secmem()));
  if (bio == nullptr ||
      ::PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return openssl_error("write a key");
  return text_of(bio.get());
}

Result<KeyPtr> key_from_pem(std::string_view pem, const std::string& passphrase) {
  if (pem.size() > kMaxPemBytes) return plain_error("read a key: it is too long");
  const BioPtr bio = bio_of(pem);
  if (bio == nullptr) return openssl_error("read a key");
  KeyPtr key(::PEM_read_bio_PrivateKey(bio.get(), nullptr, give_passphrase,
                                       const_cast<std::string*>(&passphrase)));
  if (key == nullptr) return openssl_error("read a key");
  ::ERR_clear_error();
  return key;
}

Result<std::string> certificate_to_pem(X509* certificate) {
  const BioPtr bio(::BIO_new(::BIO_s_mem()));
  if (bio == nullptr || ::PEM_write_bio_X509(bio.get(), certificate) != 1)
    return openssl_error("write a certificate");
  return text_of(bio.get());
}

Result<X509Ptr> certificate_from_pem(std::string_view pem) {
  if (pem.size() > kMaxPemBytes) return plain_error("read a certificate: it is too long");
  const BioPtr bio = bio_of(pem);
  if (bio == nullptr) return openssl_error("read a certificate");
  std::string none;
  X509Ptr certificate(::PEM_read_bio_X509(bio.get(), nullptr, give_passphrase, &none));
  if (certificate == nullptr) return openssl_error("read a certificate");
  ::ERR_clear_error();
  return certificate;
}

std::string der_of(X509* certificate) {
  return encode(certificate,
                [](X509* object, unsigned char** out) { return ::i2d_X509(object, out); });
}

std::string public_key_der(EVP_PKEY* key) {
  return encode(key,
                [](EVP_PKEY* object, unsigned char** out) { return ::i2d_PUBKEY(object, out); });
}

std::string common_name(const X509_NAME* subject) {
  const int at = ::X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at < 0 || ::X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0) return "";
  return text_of(::X509_NAME_ENTRY_get_data(::X509_NAME_get_entry(subject, at)));
}

bool add_common_name(X509_NAME* subject, const std::string& name) {
  return ::X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_ASC, raw(name),
                                      static_cast<int>(name.size()), -1, 0) == 1;
}

std::string text_of(const ASN1_STRING* text) {
  if (text == nullptr) return "";
  return {reinterpret_cast<const char*>(::ASN1_STRING_get0_data(text)),
          static_cast<size_t>(::ASN1_STRING_length(text))};
}

BioPtr bio_of(std::string_view text) {
  return BioPtr(::BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return size <= 0 ? "" : std::string(data, static_cast<size_t>(size));
}

}  // namespace om
