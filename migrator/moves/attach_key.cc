// SPDX-License-Identifier: Apache-2.0
#include "migrator/moves/attach_key.h"

#include <fmt/core.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/random.h>

#include "common/base/hex.h"
#include "common/base/log.h"

namespace om::migrator {
namespace {

constexpr const char* kFileName = "attach.key";
constexpr size_t kKeyBytes = 32;

Result<std::string> read_key(const OwnDirectory& state) {
  std::string text = OM_TRY(state.read(kFileName));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return from_hex(text, kKeyBytes);
}

Result<std::string> make_key(const OwnDirectory& state) {
  std::string key(kKeyBytes, '\0');
  if (::getrandom(key.data(), key.size(), 0) != static_cast<ssize_t>(key.size()))
    return errno_error("getrandom");
  auto written = state.replace(kFileName, to_hex(key) + "\n", 0600);
  if (!written) {
    log_error("state", "{}; deputies of this daemon will not find a later one",
              written.error().text());
  }
  return key;
}

}  // namespace

AttachKey::AttachKey(const OwnDirectory& state) {
  auto key = read_key(state);
  if (!key && key.error().err != ENOENT)
    log_warn("state", "{}, making a new key", key.error().text());
  if (!key) key = make_key(state);
  // Without randomness there are no proofs: secret_of() then returns an empty string.
  if (key) key_ = std::move(*key);
}

std::string AttachKey::secret_of(const ProcessId& process) const {
  if (key_.empty()) return "";
  const std::string text = fmt::format("deputy {} {}", process.pid, process.start_ticks);
  unsigned char tag[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  if (::HMAC(::EVP_sha256(), key_.data(), static_cast<int>(key_.size()),
             reinterpret_cast<const unsigned char*>(text.data()), text.size(), tag,
             &length) == nullptr)
    return "";
  return to_hex(std::string_view(reinterpret_cast<const char*>(tag), length));
}

bool AttachKey::proves(const ProcessId& process, std::string_view secret) const {
  const std::string right = secret_of(process);
  return !right.empty() && secret.size() == right.size() &&
         ::CRYPTO_memcmp(secret.data(), right.data(), right.size()) == 0;
}

}  // namespace om::migrator
