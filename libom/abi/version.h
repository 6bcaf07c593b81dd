// SPDX-License-Identifier: Apache-2.0
//
// The interface between a keeper and the body that it starts. libom travels with the program, so the two may be of
// different builds; a keeper accepts its own number and the one before.
#pragma once

#include <stdint.h>

namespace om {

constexpr uint32_t kKeeperGateAbi = 10;
// Gates from this number on have BodyState.cpu_limit; older ones run only on CPUs with numbers that home has.
constexpr uint32_t kAnyCpuAbi = 10;

}  // namespace om
