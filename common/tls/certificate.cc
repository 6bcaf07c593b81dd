// SPDX-License-Identifier: Apache-2.0
#include "common/tls/certificate.h"

#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <memory>

#include "common/base/names.h"
#include "common/tls/openssl.h"

namespace om {
namespace {

// Whether `name` is the one alternative name.
bool only_alternative(X509* certificate, const std::string& name) {
  const std::unique_ptr<GENERAL_NAMES, OpensslFree<GENERAL_NAMES_free>> names(
      static_cast<GENERAL_NAMES*>(
          ::X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  if (names == nullptr || sk_GENERAL_NAME_num(names.get()) != 1) return false;
  const GENERAL_NAME* only = sk_GENERAL_NAME_value(names.get(), 0);
  return only->type == GEN_DNS && text_of(only->d.dNSName) == name;
}

// 0 if the serial number is none of ours.
uint32_t number_of(X509* certificate) {
  const std::unique_ptr<BIGNUM, OpensslFree<BN_free>> serial(
      ::ASN1_INTEGER_to_BN(::X509_get0_serialNumber(certificate), nullptr));
  std::array<unsigned char, kSerialBytes> bytes{};
  if (serial == nullptr || BN_is_negative(serial.get()) ||
      ::BN_bn2binpad(serial.get(), bytes.data(), static_cast<int>(bytes.size())) < 0)
    return 0;
  const uint32_t number = uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 |
                          uint32_t{bytes[2]} << 8 | uint32_t{bytes[3]};
  return number > kMaxNodeNumber ? 0 : number;
}

Result<WallTime> wall_time(const ASN1_TIME* time) {
  struct tm parts {};
  if (::ASN1_TIME_to_tm(time, &parts) != 1) return openssl_error("time of a certificate");
  return std::chrono::system_clock::from_time_t(::timegm(&parts));
}

}  // namespace

NodeId node_id_of(std::string_view public_key) {
  NodeId id;
  const std::string digest = sha256(public_key);
  if (digest.size() >= id.bytes.size()) ::memcpy(id.bytes.data(), digest.data(), id.bytes.size());
  return id;
}

Result<Certificate> describe_certificate(X509* certificate) {
  Certificate out;
  EVP_PKEY* key = ::X509_get0_pubkey(certificate);
  if (key == nullptr || !is_p256(key)) return plain_error("a certificate without a P-256 key");
  out.public_key = public_key_der(key);
  out.der = der_of(certificate);
  if (out.public_key.empty() || out.der.empty()) return openssl_error("read a certificate");
  out.id = node_id_of(out.public_key);
  out.name = common_name(::X509_get_subject_name(certificate));
  if (!valid_node_name(out.name) || !only_alternative(certificate, out.name))
    return plain_error("a certificate without a node's name");
  out.number = number_of(certificate);
  if (out.number == 0) return plain_error("a certificate without a node's number");
  out.not_before = OM_TRY(wall_time(::X509_get0_notBefore(certificate)));
  out.not_after = OM_TRY(wall_time(::X509_get0_notAfter(certificate)));
  return out;
}

Result<Certificate> describe_certificate(std::string_view pem) {
  const X509Ptr certificate = OM_TRY(certificate_from_pem(pem));
  return describe_certificate(certificate.get());
}

bool renewal_due(const Certificate& certificate, WallTime now) {
  const auto lifetime = certificate.not_after - certificate.not_before;
  return now >= certificate.not_before + lifetime / 3 * 2;
}

}  // namespace om
