// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: a name server's answer about service records (migrator/gossip/lookups.h).
#include "migrator/gossip/lookups.h"

#include "test/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using om::fuzz::require;
  const auto targets = om::members::parse_service_answer(om::fuzz::text_of(data, size));
  if (!targets) return 0;
  require(targets->size() <= om::members::kMostOfService);
  uint16_t before = 0;
  for (const auto& target : *targets) {
    require(!target.name.empty() && target.name.size() <= 1024 && target.port != 0);
    require(target.priority >= before);
    before = target.priority;
  }
  return 0;
}
