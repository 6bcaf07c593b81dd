// SPDX-License-Identifier: Apache-2.0
//
// Makes the connections to the deputy at home. Every one begins with a preamble that says what it is, whose, and that
// we may (common/net/preamble.h). KJ event loop.
#pragma once

#include <kj/async-io.h>
#include <stdint.h>

#include "common/net/address.h"
#include "common/net/preamble.h"

namespace om::guest {

class Dialer {
 public:
  Dialer(kj::AsyncIoContext& io, const Address& home, const uint8_t (&session)[16],
         const uint8_t (&token)[16]);

  // For those who do not try again themselves. An attempt has a second: the kernel would wait longer and longer before
  // it tries again, while the network has come back.
  static constexpr int kAttempts = 10;

  // Which connection. `slot`, `epoch`: of a channel.
  struct To {
    PreambleKind kind;
    uint32_t member = kFirstMember;
    uint32_t slot = 0, epoch = 0;
  };
  // KJ exception when home is out of reach.
  kj::Promise<kj::Own<kj::AsyncIoStream>> connect(const To& to, int attempts);

 private:
  kj::Promise<kj::Own<kj::AsyncIoStream>> attempt(const Preamble& preamble);
  kj::Promise<kj::Own<kj::AsyncIoStream>> attempt(const Preamble& preamble, int left);

  kj::AsyncIoContext& io_;
  const Address home_;
  Pass pass_;
};

}  // namespace om::guest
