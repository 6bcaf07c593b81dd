// SPDX-License-Identifier: Apache-2.0
//
// How a deputy proves to a restarted daemon that an earlier one started it for this process: an HMAC-SHA256 of the
// process, passed to the deputy in its environment. The key is in the state directory and is written once, so that
// nothing has to be written for each deputy: a disk that fills up later keeps no deputy from coming back.
#pragma once

#include <string>
#include <string_view>

#include "common/base/own_directory.h"
#include "common/proc/process_id.h"

namespace om::migrator {

class AttachKey {
 public:
  // Reads the key of an earlier daemon or makes one. If it cannot be written (which is logged), deputies cannot return
  // to a later daemon.
  explicit AttachKey(const OwnDirectory& state);

  std::string secret_of(
      const ProcessId& process) const;  // 64 hexadecimal digits; empty without a key

  // Constant time.
  bool proves(const ProcessId& process, std::string_view secret) const;

 private:
  std::string key_;
};

// The environment variable of om-deputy.
inline constexpr const char* kAttachVariable = "OM_ATTACH";

}  // namespace om::migrator
