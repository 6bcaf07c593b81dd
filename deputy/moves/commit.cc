// SPDX-License-Identifier: Apache-2.0
#include "deputy/moves/commit.h"

#include <time.h>

#include <optional>

#include "common/base/log.h"
#include "deputy/base/host.h"
#include "deputy/base/text.h"
#include "deputy/moves/rollback.h"

namespace om::deputy {
namespace {

constexpr auto kCommitAnswers = 10 * kj::SECONDS;

}  // namespace

Step commit(Process& process) {
  Watch& watch = *process.watch();
  std::optional<Step> word;  // of the keeper
  kj::Promise<void> answer = kj::NEVER_DONE, pinned = nullptr;
  Step detached = fault("depart.detached");
  if (!detached) {
    word = detached;
  } else {
    KJ_IF_MAYBE (body, process.session.body()) {
      // Failures are ignored: an older keeper cannot do it.
      pinned =
          watch.cpus().send(*body, false).catch_([](kj::Exception&&) {}).eagerlyEvaluate(nullptr);
      auto request = body->commitRequest();
      request.setEpoch(process.home.state.epoch);
      request.setHomeMonoNs(static_cast<int64_t>(now_ns(CLOCK_MONOTONIC)));
      request.setHomeRealNs(static_cast<int64_t>(now_ns(CLOCK_REALTIME)));
      answer = process.io.provider->getTimer()
                   .timeoutAfter(kCommitAnswers, request.send())
                   .then(
                       [&](capnp::Response<schema::Body::CommitResults>&& heard) {
                         word = check(heard.getVerdict());
                         process.notice.happened();
                       },
                       [&](kj::Exception&& exception) {
                         word = Step(broken(exception));
                         process.notice.happened();
                       })
                   .eagerlyEvaluate(nullptr);
    }
  }
  watch.begin();
  while (!word && !watch.noticed().is_the_end()) process.notice.wait().wait(process.io.waitScope);
  answer = nullptr;
  if (word && word->ok()) return Done{};
  const Watch::Noticed noticed = watch.noticed();  // a rollback ends the watch
  if (noticed.process_gone) return refuse(ReasonCode::kNoSuchProcess, "it has ended");
  const Step back = noticed.exec ? Step(refuse(ReasonCode::kInternal, "it runs another program"))
                                 : roll_back(process, "the target did not take over");
  if (back.ok()) {
    if (word) return word->error();
    return refuse(ReasonCode::kTargetUnreachable, "its body was {}", noticed.body_end);
  }
  log_warn("depart", "process {} has left, although its keeper has not said so: {}",
           process.home.pid, back.error().message());
  process.session.cut();
  return Done{};
}

}  // namespace om::deputy
