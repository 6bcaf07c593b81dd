// SPDX-License-Identifier: Apache-2.0
//
// What a keeper must know of the body it starts. libom travels with the program, so the two may be of
// different builds; a keeper accepts its own number and the one before.
#pragma once

#include <stdint.h>

namespace om {

constexpr uint32_t kKeeperGateAbi = 7;  // 6 was never given to anybody, so 5 is refused

}  // namespace om
