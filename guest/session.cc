// SPDX-License-Identifier: Apache-2.0
#include "guest/session.h"

namespace om::guest {

void Session::begin() {
  auto paf = kj::newPromiseAndFulfiller<void>();
  end_ = paf.promise.fork();
  ended_ = kj::mv(paf.fulfiller);
  over_ = false;
  number_++;
}

void Session::end() {
  over_ = true;
  if (ended_.get() != nullptr) ended_->fulfill();
  ended_ = nullptr;
}

void Session::look_around() {
  const uint32_t number = number_;
  io_.waitScope.poll();
  if (over_ || number != number_)
    kj::throwFatalException(KJ_EXCEPTION(DISCONNECTED, "the session has ended"));
}

}  // namespace om::guest
