// SPDX-License-Identifier: Apache-2.0
//
// Where executors at home record forwarded calls while `om trace` watches (HomeState.trace): a ring of the latest
// calls, and exact counts, at arena + kControlTrace. The deputy reads it from outside; a record is complete when
// `ready` is its number plus one, and stays so until the ring wraps around.
//
// Included by freestanding code: PODs and constants only.
#pragma once

#include <stdint.h>

#include "libom/abi/layout.h"

namespace om {

constexpr uint64_t kControlTrace = kControlVdso;  // home has no use for the body's vDSO and title
constexpr uint64_t kControlTraceSize = kControlPlan - kControlTrace;

constexpr uint32_t kTraceRecords = 1720;
constexpr uint32_t kTraceCalls = 512;
constexpr uint32_t kTraceText = 48;

struct TraceRecord {
  uint64_t ready;
  uint32_t nr;
  int32_t tid;  // as the program sees it
  uint64_t args[6];
  int64_t result;
  uint64_t started_ns;  // CLOCK_REALTIME of home
  uint64_t took_ns;     // at home, waiting included
  uint32_t text_arg;    // argument number + 1 whose beginning is in `text`, 0 none
  uint32_t text_bytes;  // of the string; more than kTraceText: it is cut
  char text[kTraceText];
};

struct TraceCount {
  uint64_t calls, errors, ns;
};

struct TraceArea {
  uint64_t head;  // number of the next record
  uint64_t pad[7];
  TraceCount counts[kTraceCalls];  // by call number
  TraceRecord ring[kTraceRecords];
};
static_assert(sizeof(TraceRecord) == 144);
static_assert(sizeof(TraceArea) <= kControlTraceSize);

}  // namespace om
