// SPDX-License-Identifier: Apache-2.0
//
// What becomes of an exception of a kj::TaskSet: a line in the log.
#pragma once

#include <kj/async.h>

#include "common/base/log.h"

namespace om {

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"  // nobody destroys it through its base
class TaskErrors final : public kj::TaskSet::ErrorHandler {
 public:
  // `before`: of the text; all are literals.
  TaskErrors(const char* area, LogLevel level, const char* before = "")
      : area_(area), level_(level), before_(before) {}

  void taskFailed(kj::Exception&& exception) override {
    log(area_, level_, "{}{}", before_, exception.getDescription().cStr());
  }

 private:
  const char* area_;
  LogLevel level_;
  const char* before_;
};
#pragma GCC diagnostic pop

}  // namespace om
