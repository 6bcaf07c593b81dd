// SPDX-License-Identifier: Apache-2.0
//
// The interface between a keeper and the body that it starts. libom travels with the program, so the two may be of
// different builds; a keeper accepts its own number and the one before.
#pragma once

#include <stdint.h>

namespace om {

constexpr uint32_t kKeeperGateAbi = 9;  // 8 was never released, so 7 is refused

}  // namespace om
