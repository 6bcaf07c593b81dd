// SPDX-License-Identifier: Apache-2.0
#include "guest/dialer.h"

#include <kj/debug.h>

#include <utility>

#include "common/net/connection.h"
#include "common/tls/sealed_stream.h"

namespace om::guest {
namespace {

constexpr auto kAttempt = 1 * kj::SECONDS;

template <class T>
T value_of(Result<T> result) {
  KJ_REQUIRE(result.ok(), "no connection to home", result.error().text().c_str());
  return std::move(*result);
}

}  // namespace

Dialer::Dialer(kj::AsyncIoContext& io, const Address& home, const SessionTerms& terms,
               SessionCipher cipher)
    : io_(io),
      home_(home),
      pass_(value_of(Pass::make(terms, kPartyKeeper, kPartyDeputy))),
      cipher_(cipher) {}

kj::Promise<kj::Own<kj::AsyncIoStream>> Dialer::connect(const To& to, int attempts) {
  return connect_bare(to, attempts).then([](Bare&& bare) {
    return seal_stream(kj::mv(bare.stream), bare.keys);
  });
}

kj::Promise<Dialer::Bare> Dialer::connect_bare(const To& to, int left) {
  return io_.provider->getTimer()
      .timeoutAfter(kAttempt, attempt(to))
      .catch_([this, to, left](kj::Exception&& e) -> kj::Promise<Bare> {
        // Again only if its time was over: whoever refuses us does so at once.
        if (left <= 1 || e.getType() != kj::Exception::Type::OVERLOADED) return kj::mv(e);
        return connect_bare(to, left - 1);
      });
}

// Each attempt has a number and a nonce of its own, even if nothing was sent: the other end may have more of it than we
// know.
kj::Promise<Dialer::Bare> Dialer::attempt(const To& to) {
  auto preamble = kj::heap<Preamble>(value_of(pass_.preamble(to, ++attempts_, cipher_)));
  auto address = io_.provider->getNetwork().getSockaddr(home_.raw(), home_.raw_size());
  auto& a = *address;
  return a.connect()
      .attach(kj::mv(address))
      .then([this, preamble = kj::mv(preamble)](kj::Own<kj::AsyncIoStream>&& stream) mutable {
        KJ_IF_MAYBE (fd, stream->getFd()) {
          watch_connection(*fd, preamble->kind == kPreambleBulk ? kBulkSilence : kPeerSilence);
        }
        const ChannelKeys keys = value_of(pass_.keys(*preamble, Pass::End::kDialler));
        auto& s = *stream;
        auto& p = *preamble;
        return s.write(&p, sizeof p)
            .attach(kj::mv(preamble))
            .then([stream = kj::mv(stream), keys]() mutable {
              return Bare{kj::mv(stream), keys};
            });
      });
}

}  // namespace om::guest
