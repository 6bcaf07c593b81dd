// SPDX-License-Identifier: Apache-2.0
#include "guest/fill.h"

#include <utility>

#include "common/base/fault.h"

namespace om::guest {

void Fill::start(kj::AsyncInputStream& in, const ProcessMemory& memory,
                 std::vector<ExpectedPages::Place> places, uint64_t most) {
  memory_ = &memory;
  most_ = most;
  failed_.reset();
  source_.emplace(in, ExpectedPages(std::move(places), ExpectedPages::Order::kAny, {}));
  filling_ = fill().eagerlyEvaluate([this](kj::Exception&& e) {
    if (!failed_) failed_ = refuse(ReasonCode::kTargetUnreachable, "{}", e.getDescription().cStr());
  });
}

// Reads frames up to the end mark. Home keeps writing until then, so frames that can no longer be used are read all the
// same; only one that has no place ends the task.
kj::Promise<void> Fill::fill() {
  return source_->next().then([this](PageSource::Next&& next) -> kj::Promise<void> {
    if (!next) {
      failed_ = next.error();
      return kj::READY_NOW;
    }
    if (!*next) return kj::READY_NOW;
    const Step put_there = put(**next);
    if (!put_there && !failed_) failed_ = put_there.error();
    return fill();
  });
}

Step Fill::put(const PageSource::Frame& frame) const {
  OM_TRY(fault("guest.page"));
  if (failed_) return *failed_;
  if (source_->counts().pages > most_)
    return refuse(ReasonCode::kNoMemory, "it has grown beyond what was offered; try again");
  OM_MUST_VOID(memory_->write(frame.address, frame.contents));
  return {};
}

Step Fill::finish(Session& session, uint64_t pages) {
  session.wait(kj::mv(filling_));
  filling_ = nullptr;
  if (failed_) return *failed_;
  OM_TRY(fault("guest.filled"));
  if (source_->counts().pages != pages) {
    return refuse(ReasonCode::kInternal, "{} pages arrived of {}", source_->counts().pages, pages);
  }
  return {};
}

}  // namespace om::guest
