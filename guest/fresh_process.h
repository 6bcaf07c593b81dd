// SPDX-License-Identifier: Apache-2.0
//
// A process that is to become a body: forked by the keeper, in namespaces of its own where it may have them, with an
// empty root and no descriptors but its socket, where it waits to be told the rest. Namespaces take longer than all
// else in a body's start, so the keeper makes one such process while home still gets ready to ask for a body
// (keeper.cc).
//
// The keeper is the parent; the process dies with it (PDEATHSIG), and with this object.
#pragma once

#include <sched.h>
#include <stdint.h>
#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "common/base/result.h"
#include "common/base/unique_fd.h"
#include "common/proc/cpu_share.h"
#include "common/proc/namespaces.h"

namespace om::guest {

struct ResourceLimit {
  uint32_t resource;
  uint64_t soft, hard;
};

struct BodyPlan {
  std::string title;  // its command line, at most kMaxTitle bytes of it
  std::vector<ResourceLimit> limits;
  uint32_t cpus = 0;       // home's highest CPU id + 1
  bool home_cpus = false;  // it may run on CPU ids below that only
  proc::Isolation isolation = proc::Isolation::kTry;
  // That it may have, if it has namespaces of its own; 0: as many as all guests.
  uint32_t threads = 0;
  proc::CpuShare cpu = proc::CpuShare::kNormal;
};

constexpr size_t kMaxTitle = 255;

class FreshProcess {
 public:
  // ENOTSUP if it cannot have namespaces of its own and has to. `launcher`: path of om-body.
  static Result<FreshProcess> fork(const std::string& launcher, proc::Isolation isolation);
  FreshProcess(FreshProcess&& other) noexcept
      : pid_(std::exchange(other.pid_, 0)),
        socket_(std::move(other.socket_)),
        isolation_(other.isolation_),
        apart_(other.apart_) {}
  FreshProcess& operator=(FreshProcess&&) = delete;
  ~FreshProcess();

  struct Started {
    pid_t pid;
    UniqueFd socket;
    bool apart;  // in namespaces of its own
  };
  // Has it execute the launcher with what `plan` gives it, on these CPUs; it is the caller's from then on. Error if it
  // has ended, or was made for another isolation.
  Result<Started> become(const BodyPlan& plan, const cpu_set_t& cpus);

 private:
  FreshProcess(pid_t pid, UniqueFd socket, proc::Isolation isolation, bool apart)
      : pid_(pid), socket_(std::move(socket)), isolation_(isolation), apart_(apart) {}

  pid_t pid_;
  UniqueFd socket_;
  proc::Isolation isolation_;
  bool apart_;
};

}  // namespace om::guest
