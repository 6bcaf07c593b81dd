// SPDX-License-Identifier: Apache-2.0
//
// The channels of a session, by slot: connections between the two halves of threads. The deputy does not use them: it
// hands their sockets to the home process and keeps a duplicate to shut a connection down. KJ event loop.
#pragma once

#include <kj/async-io.h>
#include <stdint.h>

#include <map>

#include "common/net/channel_end.h"

namespace om::deputy {

class Channels {
 public:
  // The keeper has made one, perhaps in place of one that is broken; `keys` are those of our end. KJ exception if no
  // descriptor is free; the channel is then closed.
  void add(uint32_t slot, kj::AsyncIoStream& stream, const ChannelKeys& keys);
  // Resolves when channels for slots [0, count) are there.
  kj::Promise<void> wait_for(uint32_t count);
  // No more can come: rejects the promise of wait_for().
  void fail(const kj::Exception& exception);

  // One that has not been handed out yet; nothing of its keys stays here. Its descriptor is invalid if there is none.
  ChannelEnd take(uint32_t slot);
  // Whether any still connects the two halves of a thread.
  bool is_any_connected() const;
  // Shuts them all down in both directions: executors and gates notice.
  void cut();
  // The same, and forgets them.
  void clear();

 private:
  struct Channel {
    ChannelEnd fresh;  // to be handed to the home process
    UniqueFd control;  // duplicate, for shutdown
  };

  void check();

  std::map<uint32_t, Channel> by_slot_;
  uint32_t wanted_ = 0;
  kj::Maybe<kj::Own<kj::PromiseFulfiller<void>>> all_there_;
};

}  // namespace om::deputy
