// SPDX-License-Identifier: Apache-2.0
#include "migrator/identity/cluster_ca.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509v3.h>

#include <array>

#include "common/base/names.h"
#include "common/tls/certificate.h"

namespace om::migrator {
namespace {

constexpr mode_t kPrivate = 0600;
constexpr size_t kMaxRequestBytes = 4 << 10;
constexpr size_t kPrivateBytes = 32;  // of a P-256 key
// 16 MiB and some 50 ms for each guess at a passphrase.
constexpr uint64_t kScryptN = 1 << 14, kScryptR = 8, kScryptP = 1;

using BnPtr = std::unique_ptr<BIGNUM, OpensslFree<BN_free>>;
using SigPtr = std::unique_ptr<X509_SIG, OpensslFree<X509_SIG_free>>;
using P8Ptr = std::unique_ptr<PKCS8_PRIV_KEY_INFO, OpensslFree<PKCS8_PRIV_KEY_INFO_free>>;
using AlgorithmPtr = std::unique_ptr<X509_ALGOR, OpensslFree<X509_ALGOR_free>>;
using DigestPtr = std::unique_ptr<EVP_MD_CTX, OpensslFree<EVP_MD_CTX_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, OpensslFree<X509_EXTENSION_free>>;

// The common name of a subject that has nothing else.
std::string sole_name(const X509_NAME* subject) {
  return ::X509_NAME_entry_count(subject) == 1 ? common_name(subject) : "";
}

bool set_times(X509* certificate, WallTime from, WallTime to) {
  return ::ASN1_TIME_set(::X509_getm_notBefore(certificate),
                         std::chrono::system_clock::to_time_t(from)) != nullptr &&
         ::ASN1_TIME_set(::X509_getm_notAfter(certificate),
                         std::chrono::system_clock::to_time_t(to)) != nullptr;
}

// The number in front, random bytes behind it.
bool set_serial(X509* certificate, uint32_t number, const std::string& random) {
  std::array<unsigned char, kSerialBytes> bytes{};
  for (size_t i = 0; i < sizeof number; ++i)
    bytes[i] = static_cast<unsigned char>(number >> (24 - 8 * i));
  for (size_t i = sizeof number; i < bytes.size(); ++i)
    bytes[i] = static_cast<unsigned char>(random[i]);
  const BnPtr value(::BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr));
  return value != nullptr &&
         ::BN_to_ASN1_INTEGER(value.get(), ::X509_get_serialNumber(certificate)) != nullptr;
}

bool extend(X509* certificate, X509* issuer, int kind, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  ::X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const ExtensionPtr extension(::X509V3_EXT_conf_nid(nullptr, &context, kind, value));
  return extension != nullptr && ::X509_add_ext(certificate, extension.get(), -1) == 1;
}

struct CheckedRequest {
  std::string name;
  KeyPtr key;
};

// Name and public key of a request that is signed by that key.
Result<CheckedRequest> check_request(std::string_view text) {
  if (text.size() > kMaxRequestBytes) return plain_error("the request is too long");
  const BioPtr bio = bio_of(text);
  const X509RequestPtr request(::PEM_read_bio_X509_REQ(bio.get(), nullptr, nullptr, nullptr));
  if (request == nullptr) {
    ::ERR_clear_error();
    return plain_error("the request cannot be read");
  }
  KeyPtr key(::X509_REQ_get_pubkey(request.get()));
  if (key == nullptr || !is_p256(key.get())) {
    ::ERR_clear_error();
    return plain_error("the request is for another kind of key than P-256");
  }
  if (::X509_REQ_verify(request.get(), key.get()) != 1) {
    ::ERR_clear_error();
    return plain_error("the request is not signed by its key");
  }
  return CheckedRequest{sole_name(::X509_REQ_get_subject_name(request.get())), std::move(key)};
}

}  // namespace

Result<RequestSubject> read_request(std::string_view request) {
  const CheckedRequest checked = OM_TRY(check_request(request));
  return RequestSubject{checked.name, node_id_of(public_key_der(checked.key.get()))};
}

Result<ClusterCa> ClusterCa::check(KeyPtr key, X509Ptr certificate) {
  if (!is_p256(key.get()) || ::X509_check_private_key(certificate.get(), key.get()) != 1) {
    ::ERR_clear_error();
    return plain_error("the CA's key does not belong to its certificate");
  }
  std::string cluster = sole_name(::X509_get_subject_name(certificate.get()));
  if (::X509_check_ca(certificate.get()) != 1 || !valid_node_name(cluster))
    return plain_error("the certificate is none of a cluster's CA");
  return ClusterCa(std::move(key), std::move(certificate), std::move(cluster));
}

Result<ClusterCa> ClusterCa::make(const std::string& cluster, WallTime now) {
  if (!valid_node_name(cluster)) return plain_error("\"" + cluster + "\" is no cluster name");
  KeyPtr key = OM_TRY(make_key());
  X509Ptr certificate(::X509_new());
  const std::string random = OM_TRY(random_bytes(kSerialBytes));
  X509* raw = certificate.get();
  const bool done = raw != nullptr && ::X509_set_version(raw, X509_VERSION_3) == 1 &&
                    set_serial(raw, 1, random) &&
                    set_times(raw, now - kClockTolerance, now + kCaLife) &&
                    add_common_name(::X509_get_subject_name(raw), cluster) &&
                    ::X509_set_issuer_name(raw, ::X509_get_subject_name(raw)) == 1 &&
                    ::X509_set_pubkey(raw, key.get()) == 1 &&
                    extend(raw, raw, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
                    extend(raw, raw, NID_key_usage, "critical,keyCertSign") &&
                    extend(raw, raw, NID_subject_key_identifier, "hash") &&
                    extend(raw, raw, NID_authority_key_identifier, "keyid:always") &&
                    ::X509_sign(raw, key.get(), ::EVP_sha256()) > 0;
  if (!done) return openssl_error("make the cluster's CA");
  return check(std::move(key), std::move(certificate));
}

Result<ClusterCa> ClusterCa::open(const OwnDirectory& state) {
  const std::string pem = OM_TRY(state.read_private(kFileName));
  KeyPtr key = OM_TRY(key_from_pem(pem));
  X509Ptr certificate = OM_TRY(certificate_from_pem(pem));
  return check(std::move(key), std::move(certificate));
}

Result<void> ClusterCa::save(const OwnDirectory& state) const {
  const std::string key = OM_TRY(key_to_pem(key_.get()));
  const std::string certificate = OM_TRY(certificate_pem());
  return state.create(kFileName, key + certificate, kPrivate);
}

Result<std::string> ClusterCa::sign(std::string_view request, const std::string& name,
                                    uint32_t number, WallTime now) const {
  if (!valid_node_name(name)) return plain_error("\"" + name + "\" is no node name");
  if (number == 0 || number > kMaxNodeNumber) return plain_error("a node's number out of range");
  const auto [asked, key] = OM_TRY(check_request(request));
  if (asked != name) return plain_error("the request asks for another name than " + name);
  if (::EVP_PKEY_eq(key.get(), key_.get()) == 1)
    return plain_error("the request is for the CA's key");
  const WallTime end = now + kCertificateLife;
  const time_t end_time = std::chrono::system_clock::to_time_t(end);
  if (::X509_cmp_time(::X509_get0_notAfter(certificate_.get()), const_cast<time_t*>(&end_time)) < 0)
    return plain_error("the cluster's CA ends before the new certificate would");
  const X509Ptr certificate(::X509_new());
  const std::string random = OM_TRY(random_bytes(kSerialBytes));
  const std::string alternative = "DNS:" + name;
  X509* raw = certificate.get();
  X509* ca = certificate_.get();
  const bool done = raw != nullptr && ::X509_set_version(raw, X509_VERSION_3) == 1 &&
                    set_serial(raw, number, random) && set_times(raw, now - kClockTolerance, end) &&
                    add_common_name(::X509_get_subject_name(raw), name) &&
                    ::X509_set_issuer_name(raw, ::X509_get_subject_name(ca)) == 1 &&
                    ::X509_set_pubkey(raw, key.get()) == 1 &&
                    extend(raw, ca, NID_basic_constraints, "critical,CA:FALSE") &&
                    extend(raw, ca, NID_key_usage, "critical,digitalSignature") &&
                    extend(raw, ca, NID_ext_key_usage, "serverAuth,clientAuth") &&
                    extend(raw, ca, NID_subject_alt_name, alternative.c_str()) &&
                    extend(raw, ca, NID_subject_key_identifier, "hash") &&
                    extend(raw, ca, NID_authority_key_identifier, "keyid:always") &&
                    ::X509_sign(raw, key_.get(), ::EVP_sha256()) > 0;
  if (!done) return openssl_error("sign the certificate of " + name);
  return certificate_to_pem(raw);
}

Result<std::string> ClusterCa::sign_text(std::string_view text) const {
  const DigestPtr digest(::EVP_MD_CTX_new());
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  size_t size = 0;
  if (digest == nullptr ||
      ::EVP_DigestSignInit(digest.get(), nullptr, ::EVP_sha256(), nullptr, key_.get()) != 1 ||
      ::EVP_DigestSign(digest.get(), nullptr, &size, bytes, text.size()) != 1)
    return openssl_error("sign with the CA's key");
  std::string signature(size, '\0');
  if (::EVP_DigestSign(digest.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                       bytes, text.size()) != 1)
    return openssl_error("sign with the CA's key");
  signature.resize(size);
  return signature;
}

Result<DerivedKey> ClusterCa::derive(std::string_view purpose) const {
  BIGNUM* number = nullptr;
  if (EVP_PKEY_get_bn_param(key_.get(), OSSL_PKEY_PARAM_PRIV_KEY, &number) != 1)
    return openssl_error("the CA's key");
  const std::unique_ptr<BIGNUM, OpensslFree<BN_clear_free>> secret(number);
  std::array<uint8_t, kPrivateBytes> bytes{};
  if (BN_bn2binpad(secret.get(), bytes.data(), static_cast<int>(bytes.size())) < 0)
    return openssl_error("the CA's key");
  auto derived = hkdf_sha256(bytes, purpose);
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return derived;
}

Result<std::string> ClusterCa::export_text(const std::string& passphrase) const {
  if (passphrase.size() < kMinPassphrase || passphrase.size() > kMaxPassphrase)
    return plain_error("the passphrase is too short or too long: 8 to 512 bytes");
  const P8Ptr plain(::EVP_PKEY2PKCS8(key_.get()));
  AlgorithmPtr algorithm(::PKCS5_pbe2_set_scrypt(::EVP_aes_256_cbc(), nullptr, 0, nullptr, kScryptN,
                                                 kScryptR, kScryptP));
  if (plain == nullptr || algorithm == nullptr) return openssl_error("export the CA");
  const SigPtr sealed(::PKCS8_set0_pbe(passphrase.data(), static_cast<int>(passphrase.size()),
                                       plain.get(), algorithm.get()));
  if (sealed == nullptr) return openssl_error("export the CA");
  static_cast<void>(algorithm.release());  // `sealed` owns it
  const BioPtr bio(::BIO_new(::BIO_s_mem()));
  if (bio == nullptr || ::PEM_write_bio_PKCS8(bio.get(), sealed.get()) != 1)
    return openssl_error("export the CA");
  return text_of(bio.get()) + OM_TRY(certificate_pem());
}

Result<ClusterCa> ClusterCa::import_text(std::string_view text, const std::string& passphrase) {
  auto key = key_from_pem(text, passphrase);
  if (!key) return plain_error("the passphrase is wrong, or the file is damaged");
  X509Ptr certificate = OM_TRY(certificate_from_pem(text));
  return check(std::move(*key), std::move(certificate));
}

}  // namespace om::migrator
