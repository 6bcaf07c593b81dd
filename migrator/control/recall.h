// SPDX-License-Identifier: Apache-2.0
//
// Bringing home every process of this node that is away: the verbs "recall" and "bring", and before a node leaves its
// cluster.
#pragma once

#include <functional>

#include "migrator/control/services.h"

namespace om::migrator {

// `done` gets {"home": how many came, "failed": [{"pid", "code", "message"}]}, at the latest some time after `limit`;
// it is called before this returns if there is nothing to do.
void recall_all(const Services& services, Milliseconds limit, std::function<void(Json)> done);
// The same for those of which `wanted` says true.
void recall(const Services& services, Milliseconds limit,
            const std::function<bool(const ProcessId&)>& wanted, std::function<void(Json)> done);

}  // namespace om::migrator
