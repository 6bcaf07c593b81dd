// SPDX-License-Identifier: Apache-2.0
//
// The verbs to and from deputies: test aids ("debug"), and a deputy that has outlived an earlier daemon
// ("deputy.attach").
#pragma once

#include <map>
#include <memory>

#include "migrator/control/subjects.h"

namespace om::migrator {

class DeputyVerbs {
 public:
  DeputyVerbs(const Services& services, const Subjects& subjects)
      : services_(services), subjects_(subjects) {}

  void debug(const Caller&, const Json&, Answerer);

  // deputy.attach: whether the connection now belongs to a deputy. Requests that it does not take end up at
  // refuse_attach().
  bool attach(const Caller& caller, const Json& request, std::unique_ptr<JsonStream>& stream);
  void refuse_attach(const Caller&, const Json&, Answerer);

 private:
  const Services& services_;
  const Subjects& subjects_;
  int64_t last_debug_id_ = 0;
  std::map<int64_t, std::unique_ptr<Timer>> debug_timers_;
};

}  // namespace om::migrator
