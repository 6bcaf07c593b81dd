// SPDX-License-Identifier: Apache-2.0
//
// By what a deputy proves to a restarted daemon that an earlier one has started it for this process: HMAC-SHA256 of
// the process, handed to the deputy in its environment. The key lies in the state directory and is written once, so
// that nothing need be written for each deputy: a disk that is full later keeps none from coming back.
#pragma once

#include <string>
#include <string_view>

#include "common/base/own_directory.h"
#include "common/proc/process_id.h"

namespace om::migrator {

class AttachKey {
 public:
  // Reads the key of an earlier daemon or makes one. If it cannot be written (said in the log), deputies do not find
  // back to a later daemon.
  explicit AttachKey(const OwnDirectory& state);

  std::string secret_of(
      const ProcessId& process) const;  // 64 hexadecimal digits; empty without a key

  // Takes the same time wherever they differ.
  bool proves(const ProcessId& process, std::string_view secret) const;

 private:
  std::string key_;
};

// The environment variable of om-deputy.
inline constexpr const char* kAttachVariable = "OM_ATTACH";

}  // namespace om::migrator
