// SPDX-License-Identifier: Apache-2.0
//
// Makes the connections to the deputy at home. Every one begins with a preamble that says what it is, whose, and that
// we may (common/tls/pass.h); what follows is sealed, if the session is. KJ event loop.
#pragma once

#include <kj/async-io.h>
#include <stdint.h>

#include "common/net/address.h"
#include "common/tls/pass.h"

namespace om::guest {

class Dialer {
 public:
  // KJ exception if OpenSSL has no memory.
  Dialer(kj::AsyncIoContext& io, const Address& home, const SessionTerms& terms,
         SessionCipher cipher);

  // For those who do not try again themselves. An attempt has a second: the kernel would wait longer and longer before
  // it tries again, while the network has come back.
  static constexpr int kAttempts = 10;

  using To = Pass::To;
  // A connection for us. KJ exception when home is out of reach.
  kj::Promise<kj::Own<kj::AsyncIoStream>> connect(const To& to, int attempts);
  // One for somebody else, who seals and opens himself.
  struct Bare {
    kj::Own<kj::AsyncIoStream> stream;
    ChannelKeys keys;
  };
  kj::Promise<Bare> connect_bare(const To& to, int attempts);

 private:
  kj::Promise<Bare> attempt(const To& to);

  kj::AsyncIoContext& io_;
  const Address home_;
  const Pass pass_;
  const SessionCipher cipher_;
  uint64_t attempts_ = 0;  // in this session
};

}  // namespace om::guest
