// SPDX-License-Identifier: Apache-2.0
//
// Lets tasks tell the top level that they have noticed something. One waits at a time.
#pragma once

#include <kj/async.h>

namespace om::deputy {

class Notice {
 public:
  // Resolves when happened() is called; at once if it was called since the last wait.
  kj::Promise<void> wait() {
    if (happened_before_) {
      happened_before_ = false;
      return kj::READY_NOW;
    }
    auto paf = kj::newPromiseAndFulfiller<void>();
    happened_ = kj::mv(paf.fulfiller);
    return kj::mv(paf.promise);
  }
  void happened() {
    KJ_IF_MAYBE (fulfiller, happened_) {
      if ((*fulfiller)->isWaiting()) {
        (*fulfiller)->fulfill();
        happened_ = nullptr;
        return;
      }
    }
    happened_before_ = true;
  }

 private:
  kj::Maybe<kj::Own<kj::PromiseFulfiller<void>>> happened_;
  bool happened_before_ = false;
};

}  // namespace om::deputy
