// SPDX-License-Identifier: Apache-2.0
#include "common/tls/tls_engine.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

namespace om {
namespace {

constexpr std::string_view kNoMemory = "no memory";
constexpr std::string_view kNames[] = {"om/2", "om-join/2"};

// What OpenSSL calls "tlsv1 alert unknown ca" and "sslv3 alert certificate expired" came from the peer.
std::string plain_reason(const std::string& text) {
  const size_t at = text.find(" alert ");
  if (at == std::string::npos || at > 6) return text;
  return "refused by the peer: " + text.substr(at + 7);
}

}  // namespace

TlsEngine::TlsEngine(TlsContext context, Side side, const std::optional<std::string>& expected)
    : context_(std::move(context)), ssl_(::SSL_new(context_.raw())) {
  BioPtr in(::BIO_new(::BIO_s_mem())), out(::BIO_new(::BIO_s_mem()));
  if (ssl_ == nullptr || in == nullptr || out == nullptr) {
    fail(std::string(kNoMemory));
    return;
  }
  in_ = in.release();
  out_ = out.release();
  ::SSL_set_bio(ssl_.get(), in_, out_);
  if (side == Side::kServer) {
    ::SSL_set_accept_state(ssl_.get());
  } else {
    ::SSL_set_connect_state(ssl_.get());
  }
  if (!expected) return;
  ::SSL_set_hostflags(ssl_.get(),
                      X509_CHECK_FLAG_NO_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  if (expected->empty() || ::SSL_set1_host(ssl_.get(), expected->c_str()) != 1)
    fail("no name to expect");
}

TlsEngine::Step TlsEngine::fail(std::string why) {
  ::ERR_clear_error();
  if (why_.empty()) why_ = std::move(why);
  return Step::kFailed;
}

std::string TlsEngine::reason(int error) const {
  const long verdict = ::SSL_get_verify_result(ssl_.get());
  const unsigned long code = ::ERR_peek_last_error();
  if (error == SSL_ERROR_SSL && ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED)
    return std::string("the peer's certificate: ") + ::X509_verify_cert_error_string(verdict);
  return plain_reason(take_openssl_error());
}

TlsEngine::Step TlsEngine::judge(int result) {
  const int error = ::SSL_get_error(ssl_.get(), result);
  switch (error) {
    case SSL_ERROR_NONE:
      return Step::kDone;
    case SSL_ERROR_WANT_READ:
      ::ERR_clear_error();
      return Step::kNeedsInput;
    case SSL_ERROR_ZERO_RETURN:
      ::ERR_clear_error();
      return Step::kEnded;
    default:
      return fail(reason(error));
  }
}

TlsEngine::Step TlsEngine::handshake() {
  if (!why_.empty()) return Step::kFailed;
  ::ERR_clear_error();
  const Step step = judge(::SSL_do_handshake(ssl_.get()));
  if (step == Step::kEnded) return fail("ended by the peer");
  return step == Step::kDone ? settle() : step;
}

TlsEngine::Step TlsEngine::settle() {
  const unsigned char* name = nullptr;
  unsigned int size = 0;
  ::SSL_get0_alpn_selected(ssl_.get(), &name, &size);
  const std::string_view agreed(reinterpret_cast<const char*>(name), size);
  if (agreed != kNames[0] && agreed != kNames[1]) return fail("the peer does not speak om/2");
  protocol_ = agreed == kNames[0] ? TlsProtocol::kNode : TlsProtocol::kJoin;
  const bool server = ::SSL_is_server(ssl_.get()) == 1;
  if (!server && protocol_ != context_.protocol()) return fail("the peer speaks another protocol");
  settled_ = true;
  if (server && protocol_ == TlsProtocol::kJoin) return Step::kDone;
  X509* certificate = ::SSL_get0_peer_certificate(ssl_.get());
  if (certificate == nullptr) return fail("the peer has no certificate");
  auto peer = describe_certificate(certificate);
  if (!peer) return fail("the peer shows " + peer.error().text());
  peer_ = std::move(*peer);
  return Step::kDone;
}

TlsEngine::Step TlsEngine::read(std::span<char> out, size_t& count) {
  count = 0;
  if (!why_.empty()) return Step::kFailed;
  ::ERR_clear_error();
  return judge(::SSL_read_ex(ssl_.get(), out.data(), out.size(), &count));
}

TlsEngine::Step TlsEngine::write(std::string_view bytes) {
  if (!why_.empty()) return Step::kFailed;
  if (bytes.empty()) return Step::kDone;
  if (bytes.size() > kMaxWrite) return fail("too much for one record");
  ::ERR_clear_error();
  size_t taken = 0;
  const Step step = judge(::SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &taken));
  // A memory BIO takes everything.
  return step == Step::kDone || step == Step::kFailed ? step : fail("it took no bytes");
}

void TlsEngine::end() {
  if (!why_.empty() || !settled_) return;
  ::ERR_clear_error();
  ::SSL_shutdown(ssl_.get());
  ::ERR_clear_error();
}

void TlsEngine::feed(std::span<const uint8_t> bytes) {
  if (in_ == nullptr || bytes.empty()) return;
  if (::BIO_write(in_, bytes.data(), static_cast<int>(bytes.size())) !=
      static_cast<int>(bytes.size()))
    fail(std::string(kNoMemory));
}

size_t TlsEngine::output_size() const { return out_ == nullptr ? 0 : ::BIO_ctrl_pending(out_); }

std::vector<uint8_t> TlsEngine::take_output() {
  std::vector<uint8_t> bytes(output_size());
  // Not BIO_reset(), which clears all that the BIO has ever held.
  const int n = bytes.empty() ? 0 : ::BIO_read(out_, bytes.data(), static_cast<int>(bytes.size()));
  bytes.resize(n < 0 ? 0 : static_cast<size_t>(n));
  return bytes;
}

Result<std::string> TlsEngine::ca_pem() const {
  const STACK_OF(X509)* chain = settled_ ? ::SSL_get0_verified_chain(ssl_.get()) : nullptr;
  const int size = chain == nullptr ? 0 : sk_X509_num(chain);
  if (size < 2) return plain_error("no CA was verified");
  return certificate_to_pem(sk_X509_value(chain, size - 1));
}

Result<std::string> TlsEngine::exporter(std::string_view label, size_t size) const {
  std::string out(size, '\0');
  if (!settled_ ||
      ::SSL_export_keying_material(ssl_.get(), reinterpret_cast<unsigned char*>(out.data()), size,
                                   label.data(), label.size(), nullptr, 0, 0) != 1)
    return openssl_error("TLS exporter");
  return out;
}

}  // namespace om
