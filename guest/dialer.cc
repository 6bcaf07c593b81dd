// SPDX-License-Identifier: Apache-2.0
#include "guest/dialer.h"

#include <string.h>

#include "common/net/connection.h"

namespace om::guest {
namespace {

constexpr auto kAttempt = 1 * kj::SECONDS;

}  // namespace

Dialer::Dialer(kj::AsyncIoContext& io, const Address& home, const uint8_t (&session)[16],
               const uint8_t (&token)[16])
    : io_(io), home_(home), pass_{{}, {}, kPartyKeeper, kPartyDeputy} {
  memcpy(pass_.session, session, sizeof pass_.session);
  memcpy(pass_.token, token, sizeof pass_.token);
}

kj::Promise<kj::Own<kj::AsyncIoStream>> Dialer::connect(const To& to, int attempts) {
  Preamble preamble = pass_.preamble(to.kind, to.member);
  preamble.slot = to.slot;
  preamble.epoch = to.epoch;
  return attempt(preamble, attempts);
}

kj::Promise<kj::Own<kj::AsyncIoStream>> Dialer::attempt(const Preamble& preamble, int left) {
  return io_.provider->getTimer()
      .timeoutAfter(kAttempt, attempt(preamble))
      .catch_([this, preamble, left](kj::Exception&& e) -> kj::Promise<kj::Own<kj::AsyncIoStream>> {
        // Again only if its time was over: whoever refuses us does so at once.
        if (left <= 1 || e.getType() != kj::Exception::Type::OVERLOADED) return kj::mv(e);
        return attempt(preamble, left - 1);
      });
}

kj::Promise<kj::Own<kj::AsyncIoStream>> Dialer::attempt(const Preamble& preamble) {
  auto address = io_.provider->getNetwork().getSockaddr(home_.raw(), home_.raw_size());
  auto& a = *address;
  return a.connect()
      .attach(kj::mv(address))
      .then([preamble = kj::heap<Preamble>(preamble)](kj::Own<kj::AsyncIoStream>&& stream) mutable {
        KJ_IF_MAYBE (fd, stream->getFd()) {
          watch_connection(*fd, preamble->kind == kPreambleBulk ? kBulkSilence : kPeerSilence);
        }
        auto& s = *stream;
        auto& p = *preamble;
        return s.write(&p, sizeof p)
            .attach(kj::mv(preamble))
            .then([stream = kj::mv(stream)]() mutable { return kj::mv(stream); });
      });
}

}  // namespace om::guest
