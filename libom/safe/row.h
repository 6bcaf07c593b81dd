// SPDX-License-Identifier: Apache-2.0
//
// The row that describes a call: its own, with the arguments of its command put in when a sub-table
// describes them (ioctl, fcntl, prctl, ...). Gate and executor must agree on it, so both use this.
#pragma once

#include "libom/safe/mem.h"
#include "libom/safe/numbers.h"

namespace om::safe {

struct Row {
  const SyscallDesc* desc;
  Route route;
  uint8_t deny_errno;
};

// `storage` holds the merged row while it is used.
// Context: any
inline Row resolve_row(const SyscallDesc& desc, const uint64_t args[6], SyscallDesc& storage) {
  if (desc.sub == 0) return {&desc, desc.route, desc.deny_errno};
  const CommandDesc* command = find_command(desc, args);
  if (command == nullptr) return {&desc, unlisted_route(desc.sub), desc.deny_errno};
  copy_bytes(&storage, &desc, sizeof storage);
  for (uint32_t i = 0; i < command->nargs && desc.sub_arg + i < 6; i++) {
    storage.args[desc.sub_arg + i] = command->args[i];
  }
  storage.effects = command->effects;
  storage.object = command->object;
  return {&storage, command->route, command->deny_errno};
}

}  // namespace om::safe
