// SPDX-License-Identifier: Apache-2.0
#include "migrator/attach_key.h"

#include <fmt/core.h>
#include <string.h>
#include <sys/random.h>

#include "common/json_line.h"
#include "common/log.h"

namespace om::migrator {
namespace {

constexpr const char* kFileName = "attach.key";

Result<std::string> read_key(const OwnDirectory& state) {
  std::string text = OM_TRY(state.read(kFileName));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return from_hex(text, sizeof(SipKey));
}

Result<std::string> make_key(const OwnDirectory& state) {
  std::string key(sizeof(SipKey), '\0');
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
  // Without randomness nobody may prove anything: secret_of() is empty then.
  if (key) ::memcpy(key_.data(), key->data(), key_.size());
}

std::string AttachKey::secret_of(const ProcessId& process) const {
  if (key_ == SipKey{}) return "";
  return fmt::format("{:016x}",
                     siphash24(key_, fmt::format("{} {}", process.pid, process.start_ticks)));
}

}  // namespace om::migrator
