// SPDX-License-Identifier: Apache-2.0
//
// What a node tells others about its load: 40 bytes, and the datagram that carries up to 16 of them. Numbers are little
// endian:
//
//   datagram: "oml" | version 1 | entry ...
//   entry: node 8 | incarnation 6 | sequence 4 | k 3 | told 3 | cores 2 | threads 2 | speed 2 | free 4 | total 2 |
//          flags 1 | class 1 | age 2
//
// No clocks are compared: an entry says how old it is, and who passes it on adds the time for which it had it.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "balance/model.h"
#include "common/base/node_id.h"
#include "common/base/result.h"

namespace om::balance {

constexpr size_t kLoadEntryBytes = 40;
constexpr size_t kLoadHeaderBytes = 4;
constexpr size_t kMaxLoadEntries = 16;  // in a datagram

// Why a node takes no guests; bits that this version does not know are passed on.
enum LoadFlag : uint8_t {
  kFlagBlock = 1,  // its administrator wants none
  kFlagDrain = 2,  // it is being emptied
  kFlagOwner = 4,  // its owner is at work
  kFlagFull = 8,   // it has as many as it may have, or its load is at its ceiling
};

// Ranges are what the bytes can hold; encoding clamps to them.
struct LoadEntry {
  NodeId node{};
  uint64_t incarnation = 0;  // 48 bits, as in the membership
  uint32_t sequence = 0;     // of the same incarnation the higher one is newer
  double k = 0;              // runnable threads with arrivals under way, 1/256 steps, below 65536
  double told = 0;           // smoothed as MOSIX tells it, in the same steps
  Machine
      machine{};  // cores and threads 1 to 65535; speed 0.001 to 65.535; second_thread is not told
  double free_bytes = 0;   // MiB steps
  double total_bytes = 0;  // 64 MiB steps, below 4 TiB
  uint8_t flags = 0;
  // Features of its CPUs, as a level: what runs on one level runs on every higher one.
  uint8_t feature_class = 0;
  double age_s = 0;  // 10 ms steps, up to 655.35

  bool operator==(const LoadEntry&) const = default;
};

bool newer(const LoadEntry& a, const LoadEntry& b);  // of the same node

// Preconditions: at most kMaxLoadEntries.
std::string encode_load(std::span<const LoadEntry> entries);
bool is_load(std::string_view bytes);
// An Error for anything but a well-formed datagram: another version, no entry or too many, a piece of one, an entry
// without cores, with fewer threads than cores or without speed. `entries` is emptied first; nothing of `bytes` is kept
// elsewhere.
Result<void> decode_load(std::string_view bytes, std::vector<LoadEntry>& entries);

}  // namespace om::balance
