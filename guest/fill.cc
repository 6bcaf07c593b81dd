// SPDX-License-Identifier: Apache-2.0
#include "guest/fill.h"

#include <span>
#include <utility>

#include "common/base/fault.h"
#include "libom/abi/layout.h"

namespace om::guest {

void Fill::start(kj::AsyncInputStream& in, const ProcessMemory& memory, BulkPlaces places,
                 uint64_t most) {
  in_ = &in;
  memory_ = &memory;
  places_ = std::move(places);
  pages_ = 0;
  most_ = most;
  failed_.reset();
  filling_ = fill().eagerlyEvaluate([this](kj::Exception&& e) {
    if (!failed_) failed_ = refuse(ReasonCode::kTargetUnreachable, "{}", e.getDescription().cStr());
  });
}

// Frames until the end mark.
kj::Promise<void> Fill::fill() {
  return in_->read(&frame_, sizeof frame_).then([this]() -> kj::Promise<void> {
    if (frame_.kind == kBulkEnd) return kj::READY_NOW;
    if (frame_.kind != kBulkData || !places_.holds(frame_)) {
      failed_ =
          refuse(ReasonCode::kInternal, "home sent a page for a place that it did not describe");
      return kj::READY_NOW;
    }
    return in_->read(data_.begin(), frame_.bytes).then([this] { return take(); });
  });
}

// Home writes until its end mark: what cannot be used any more is taken all the same.
kj::Promise<void> Fill::take() {
  if (fault_at("guest.page"))
    failed_ = refuse(ReasonCode::kInternal, "{}", fault_text("guest.page"));
  if (failed_) return fill();
  pages_ += frame_.bytes / kPageSize;
  if (pages_ > most_) {
    failed_ = refuse(ReasonCode::kNoMemory, "it has grown beyond what was offered; try again");
    return fill();
  }
  const auto data = std::as_bytes(std::span(data_.begin(), frame_.bytes));
  if (auto r = memory_->write(frame_.address, data); !r) failed_ = internal(r.error());
  return fill();
}

Step Fill::finish(Session& session, uint64_t pages) {
  session.wait(kj::mv(filling_));
  filling_ = nullptr;
  if (failed_) return *failed_;
  OM_STEP(fault("guest.filled"));
  if (pages_ != pages)
    return refuse(ReasonCode::kInternal, "{} pages arrived of {}", pages_, pages);
  return {};
}

}  // namespace om::guest
