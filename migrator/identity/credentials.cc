// SPDX-License-Identifier: Apache-2.0
#include "migrator/identity/credentials.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "common/tls/openssl.h"
#include "migrator/identity/identity.h"

namespace om::migrator {
namespace {

constexpr mode_t kPrivate = 0600;
constexpr mode_t kPublic = 0644;

using Read = Result<std::string> (OwnDirectory::*)(const std::string&) const;

// With node.crt there, the others must be as well.
Result<std::string> read_part(const OwnDirectory& state, const char* name, Read read) {
  auto text = (state.*read)(name);
  if (!text && text.error().err == ENOENT) {
    return plain_error(state.path() + "/" + name + " is missing beside " +
                       Credentials::kCertificateFile);
  }
  return text;
}

Error in_directory(const OwnDirectory& state, const Error& error) {
  return Error{error.err, state.path() + "/" + error.what};
}

bool signed_by(X509* certificate, X509* ca) {
  const bool good = ::X509_check_issued(ca, certificate) == X509_V_OK &&
                    ::X509_verify(certificate, ::X509_get0_pubkey(ca)) == 1;
  ::ERR_clear_error();
  return good;
}

}  // namespace

Result<Credentials> Credentials::make(Parts parts, std::string key_pem) {
  const auto no_certificate = [](const char* file) {
    return plain_error(std::string(file) + " has no certificate that can be read");
  };
  const auto certificate = certificate_from_pem(parts.certificate_pem);
  if (!certificate) return no_certificate(kCertificateFile);
  const auto ca = certificate_from_pem(parts.ca_pem);
  if (!ca) return no_certificate(kCaFile);
  const KeyPtr key = OM_TRY(key_from_pem(key_pem));
  auto described = describe_certificate(certificate->get());
  if (!described)
    return plain_error(std::string(kCertificateFile) + " has " + described.error().text());
  if (described->public_key != public_key_der(key.get()))
    return plain_error(std::string(kCertificateFile) + " is for another key than " +
                       Identity::kFileName);
  if (::X509_check_ca(ca->get()) != 1)
    return plain_error(std::string(kCaFile) + " has no CA's certificate");
  if (!signed_by(certificate->get(), ca->get()))
    return plain_error(std::string(kCertificateFile) + " was not signed by the CA of " + kCaFile);
  if (common_name(::X509_get_subject_name(ca->get())) != parts.info.cluster)
    return plain_error(std::string(kInfoFile) + " names another cluster than " + kCaFile);
  if (parts.group_key.bytes.size() != kGroupKeyBytes)
    return plain_error(std::string(kGroupKeyFile) + " has no key");
  std::string id = sha256(der_of(ca->get()));
  if (id.size() != kSha256Bytes) return openssl_error("hash of the CA's certificate");
  return Credentials(std::move(parts), std::move(key_pem), std::move(*described), std::move(id));
}

Result<std::optional<Credentials>> Credentials::open(const OwnDirectory& state) {
  auto certificate = state.read(kCertificateFile);
  if (!certificate && certificate.error().err == ENOENT) return std::optional<Credentials>();
  Parts parts;
  parts.certificate_pem = OM_TRY(std::move(certificate));
  parts.ca_pem = OM_TRY(read_part(state, kCaFile, &OwnDirectory::read));
  auto group_key =
      parse_group_key(OM_TRY(read_part(state, kGroupKeyFile, &OwnDirectory::read_private)));
  if (!group_key) return in_directory(state, group_key.error());
  parts.group_key = std::move(*group_key);
  auto info = parse_cluster_info(OM_TRY(read_part(state, kInfoFile, &OwnDirectory::read)));
  if (!info) return in_directory(state, info.error());
  parts.info = std::move(*info);
  std::string key = OM_TRY(read_part(state, Identity::kFileName, &OwnDirectory::read_private));
  auto made = make(std::move(parts), std::move(key));
  if (!made) return in_directory(state, made.error());
  return std::optional<Credentials>(std::move(*made));
}

Result<void> Credentials::save(const OwnDirectory& state) const {
  const auto old_ca = state.read(kCaFile);
  // Otherwise an interruption would leave the certificate of one cluster beside the CA of another.
  if (!old_ca || *old_ca != parts_.ca_pem) OM_TRY(state.remove(kCertificateFile));
  for (const char* name : {kCertificateFile, kCaFile, kGroupKeyFile, kInfoFile})
    state.remove_drafts(name);
  OM_TRY(state.replace_lastingly(kCaFile, parts_.ca_pem, kPublic));
  OM_TRY(state.replace_lastingly(kInfoFile, to_text(parts_.info), kPublic));
  OM_TRY(save_group_key(state, parts_.group_key));
  return save_certificate(state, parts_.certificate_pem);
}

Result<void> Credentials::save_certificate(const OwnDirectory& state, const std::string& pem) {
  return state.replace_lastingly(kCertificateFile, pem, kPublic);
}

Result<void> Credentials::save_group_key(const OwnDirectory& state, const GroupKey& key) {
  return state.replace_lastingly(kGroupKeyFile, to_text(key), kPrivate);
}

Result<void> Credentials::forget(const OwnDirectory& state) {
  for (const char* name : {kCertificateFile, kGroupKeyFile, kCaFile, kInfoFile}) {
    state.remove_drafts(name);
    OM_TRY(state.remove(name));
  }
  return {};
}

}  // namespace om::migrator
