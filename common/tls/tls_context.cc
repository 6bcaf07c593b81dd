// SPDX-License-Identifier: Apache-2.0
#include "common/tls/tls_context.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <string_view>

#include "common/tls/openssl.h"

namespace om {
namespace {

using namespace std::string_view_literals;

// As they stand in a ClientHello: each with its length before it. The server prefers the first.
constexpr std::string_view kNodeOffer = "\x04om/2"sv;
constexpr std::string_view kJoinOffer = "\x09om-join/2"sv;
constexpr std::string_view kBothOffers = "\x04om/2\x09om-join/2"sv;
constexpr const char* kCiphers = "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
// A node's certificate and the CA's have together about 1 KiB.
constexpr long kMaxChainBytes = 8 << 10;

const unsigned char* raw_bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

// Before the server writes its answer: only a joiner is not asked for a certificate.
int choose_protocol(SSL* ssl, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* offered, unsigned int offered_size, void*) noexcept {
  unsigned char* chosen = nullptr;
  if (::SSL_select_next_proto(&chosen, out_size, raw_bytes(kBothOffers), kBothOffers.size(),
                              offered, offered_size) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  if (*out_size == kJoinOffer.size() - 1) ::SSL_set_verify(ssl, SSL_VERIFY_NONE, nullptr);
  return SSL_TLSEXT_ERR_OK;
}

// A joiner has no CA yet: the one that the server sends is believed if its hash is the expected one. All else is
// checked as ever.
int verify_by_hash(X509_STORE_CTX* store, void* user) noexcept {
  const auto& expected = static_cast<const TlsContext::State*>(user)->ca_sha256;
  STACK_OF(X509)* sent = ::X509_STORE_CTX_get0_untrusted(store);
  STACK_OF(X509)* trusted = sk_X509_new_null();
  if (trusted == nullptr) return 0;
  for (int i = 0; i < sk_X509_num(sent); ++i) {
    X509* candidate = sk_X509_value(sent, i);
    if (equal_secrets(sha256(der_of(candidate)), expected)) sk_X509_push(trusted, candidate);
  }
  ::X509_STORE_CTX_set0_trusted_stack(store, trusted);
  const int result = ::X509_verify_cert(store);
  sk_X509_free(trusted);
  return result > 0 ? 1 : 0;
}

bool configure(SSL_CTX* context) {
  ::SSL_CTX_set_options(context,
                        SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  ::SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  // An idle connection keeps no buffers of OpenSSL's.
  ::SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  ::SSL_CTX_set_max_cert_list(context, kMaxChainBytes);
  // Nodes' certificates are signed by the CA itself.
  ::SSL_CTX_set_verify_depth(context, 0);
  ::SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  ::X509_VERIFY_PARAM_set_flags(::SSL_CTX_get0_param(context), X509_V_FLAG_X509_STRICT);
  return ::SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
         ::SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
         ::SSL_CTX_set_num_tickets(context, 0) == 1 &&
         ::SSL_CTX_set_ciphersuites(context, kCiphers) == 1 &&
         SSL_CTX_set1_groups_list(context, "X25519:P-256") == 1 &&
         SSL_CTX_set1_sigalgs_list(context, "ECDSA+SHA256") == 1;
}

bool offer(SSL_CTX* context, std::string_view protocol) {
  return ::SSL_CTX_set_alpn_protos(context, raw_bytes(protocol),
                                   static_cast<unsigned int>(protocol.size())) == 0;
}

}  // namespace

Result<std::shared_ptr<TlsContext::State>> TlsContext::make() {
  auto state = std::make_shared<State>();
  state->context.reset(::SSL_CTX_new(::TLS_method()));
  if (state->context == nullptr || !configure(state->context.get()))
    return openssl_error("set up TLS");
  return state;
}

Result<TlsContext> TlsContext::member(const TlsCredentials& credentials) {
  const X509Ptr certificate = OM_TRY(certificate_from_pem(credentials.certificate_pem));
  const X509Ptr ca = OM_TRY(certificate_from_pem(credentials.ca_pem));
  const KeyPtr key = OM_TRY(key_from_pem(credentials.key_pem));
  auto state = OM_TRY(make());
  SSL_CTX* context = state->context.get();
  ::SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  if (::SSL_CTX_use_certificate(context, certificate.get()) != 1 ||
      ::SSL_CTX_use_PrivateKey(context, key.get()) != 1)
    return openssl_error("the node's certificate and key");
  if (::X509_STORE_add_cert(::SSL_CTX_get_cert_store(context), ca.get()) != 1 ||
      SSL_CTX_add1_chain_cert(context, ca.get()) != 1 || !offer(context, kNodeOffer))
    return openssl_error("set up TLS");
  ::ERR_clear_error();
  return TlsContext(std::move(state));
}

Result<TlsContext> TlsContext::joiner(const std::string& ca_sha256) {
  if (ca_sha256.size() != kSha256Bytes) return plain_error("the hash of the CA has a wrong size");
  auto state = OM_TRY(make());
  state->protocol = TlsProtocol::kJoin;
  state->ca_sha256 = ca_sha256;
  ::SSL_CTX_set_cert_verify_callback(state->context.get(), verify_by_hash, state.get());
  if (!offer(state->context.get(), kJoinOffer)) return openssl_error("set up TLS");
  return TlsContext(std::move(state));
}

}  // namespace om
