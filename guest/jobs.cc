// SPDX-License-Identifier: Apache-2.0
#include "guest/jobs.h"

#include <kj/debug.h>

#include <utility>

namespace om::guest {
namespace {

constexpr size_t kMaxJobs = 64;

}  // namespace

kj::Promise<void> Jobs::add(std::function<void()> run) {
  if (jobs_.size() >= kMaxJobs) return KJ_EXCEPTION(OVERLOADED, "too many calls at once");
  auto paf = kj::newPromiseAndFulfiller<void>();
  jobs_.push_back({session_.number(), std::move(run), kj::mv(paf.fulfiller)});
  wake();
  return kj::mv(paf.promise);
}

void Jobs::wake() {
  KJ_IF_MAYBE (fulfiller, arrived_) {
    (*fulfiller)->fulfill();
    arrived_ = nullptr;
  }
}

void Jobs::run_next(kj::WaitScope& scope) {
  if (jobs_.empty()) {
    auto paf = kj::newPromiseAndFulfiller<void>();
    arrived_ = kj::mv(paf.fulfiller);
    paf.promise.wait(scope);
    return;
  }
  Job job = kj::mv(jobs_.front());
  jobs_.pop_front();
  if (session_.is_over() || job.session != session_.number()) return;
  busy_ = true;
  kj::Maybe<kj::Exception> failed = kj::runCatchingExceptions([&] { job.run(); });
  busy_ = false;
  KJ_IF_MAYBE (exception, failed) {
    job.done->reject(kj::mv(*exception));
  } else {
    job.done->fulfill();
  }
}

}  // namespace om::guest
