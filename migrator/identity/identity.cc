// SPDX-License-Identifier: Apache-2.0
#include "migrator/identity/identity.h"

#include <errno.h>
#include <openssl/pem.h>
#include <stdlib.h>

#include "common/base/names.h"

namespace om::migrator {
namespace {

constexpr mode_t kPrivate = 0600;

Result<KeyPtr> read_key(const OwnDirectory& state) {
  const std::string pem = OM_TRY(state.read_private(Identity::kFileName));
  const std::string path = state.path() + "/" + Identity::kFileName;
  auto key = key_from_pem(pem);
  if (!key) return plain_error(path + " has no key that can be read");
  if (!is_p256(key->get())) return plain_error(path + " has another kind of key than P-256");
  return key;
}

std::string absolute(const char* variable) {
  const char* value = ::getenv(variable);
  return value != nullptr && value[0] == '/' ? value : "";
}

}  // namespace

Result<std::string> default_state_path(uid_t uid) {
  if (uid == 0) return std::string("/var/lib/om");
  const std::string state = absolute("XDG_STATE_HOME");
  if (!state.empty()) return state + "/om";
  const std::string home = absolute("HOME");
  if (home.empty()) return plain_error("neither XDG_STATE_HOME nor HOME says where to keep state");
  return home + "/.local/state/om";
}

Identity::Identity(KeyPtr key)
    : key_(std::move(key)), id_(node_id_of(public_key_der(key_.get()))) {}

Result<Identity> Identity::open(const OwnDirectory& state) {
  if (!state.has(kFileName)) {
    const KeyPtr key = OM_TRY(make_key());
    const std::string pem = OM_TRY(key_to_pem(key.get()));
    auto created = state.create(kFileName, pem, kPrivate);
    // Another process was faster: its key counts.
    if (!created && created.error().err != EEXIST) return created.error();
  }
  return Identity(OM_TRY(read_key(state)));
}

Result<std::string> Identity::request(const std::string& name) const {
  if (!valid_node_name(name)) return plain_error("\"" + name + "\" is no node name");
  const X509RequestPtr request(::X509_REQ_new());
  const BioPtr bio(::BIO_new(::BIO_s_mem()));
  if (request == nullptr || bio == nullptr) return openssl_error("make a request");
  if (!add_common_name(::X509_REQ_get_subject_name(request.get()), name) ||
      ::X509_REQ_set_pubkey(request.get(), key_.get()) != 1 ||
      ::X509_REQ_sign(request.get(), key_.get(), ::EVP_sha256()) <= 0 ||
      ::PEM_write_bio_X509_REQ(bio.get(), request.get()) != 1)
    return openssl_error("make a request");
  return text_of(bio.get());
}

}  // namespace om::migrator
