// SPDX-License-Identifier: Apache-2.0
//
// common/net/preamble.h: a token opens connections of its session and its pair, for existing members.
#include "common/net/preamble.h"

#include <doctest/doctest.h>

namespace om {
namespace {

TEST_CASE("a pass opens what was dialled with it, and nothing else") {
  const Pass pass{{1, 2, 3}, {4, 5, 6}, kPartyKeeper, kPartyDeputy};
  const Preamble good = pass.preamble(kPreambleChannel, kFirstMember);
  CHECK(good.kind == kPreambleChannel);
  CHECK(pass.opens(good));
  auto opens = [&](auto change) {
    Preamble p = good;
    change(p);
    return pass.opens(p);
  };
  CHECK(opens([](Preamble& p) { p.slot = 7; }));
  CHECK(!opens([](Preamble& p) { p.magic++; }));
  CHECK(!opens([](Preamble& p) { p.session[15] = 1; }));
  CHECK(!opens([](Preamble& p) { p.token[15] = 1; }));
  CHECK(!opens([](Preamble& p) { p.member = kMembers; }));
  CHECK(!opens([](Preamble& p) { p.from = kPartyDeputy; }));
  CHECK(!opens([](Preamble& p) { p.to = kPartyKeeper; }));
}

}  // namespace
}  // namespace om
