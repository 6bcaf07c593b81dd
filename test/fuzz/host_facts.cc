// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: what a host of om cluster run says of itself (cli/run_facts.h). Whatever it says, what is kept is
// bounded, and nothing is taken after the last line.
#include "cli/run_facts.h"

#include "cli/glibc.h"
#include "common/base/text.h"
#include "common/net/address.h"
#include "test/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using om::fuzz::require;
  om::cli::HostFacts facts;
  const std::string_view text = om::fuzz::text_of(data, size);
  for (std::string_view rest = text; !rest.empty();) {
    const bool whole = facts.ready;
    const auto taken = om::cli::take_fact(facts, om::take_line(rest));
    if (!taken) break;
    require(!whole);
  }
  require(!facts.ready || (facts.begun && facts.dir.starts_with('/') && facts.dir.size() <= 70));
  require(facts.arch.size() <= 128 && facts.libc.size() <= 128 && facts.boot.size() <= 128);
  require(facts.net.size() <= 128 && facts.installed.size() <= 16);
  for (const auto& [name, hash] : facts.installed) require(hash.size() == 64);
  if (!facts.own_address.empty()) require(om::Address::parse(facts.own_address).ok());
  require(om::cli::glibc_needed(text) < 3000);
  return 0;
}
