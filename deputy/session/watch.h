// SPDX-License-Identifier: Apache-2.0
//
// While the process is away: relays kicks, follows job control and changes of CPUs, keeps the clocks, notices what
// ends.
//
//   what is noticed                      what follows
//   a call that only home can run        the process comes home
//   the session with the keeper is lost  wait for the keeper to connect again, as long as the body gives no sign of
//                                        life either; then roll back, or, if it has already acted, end the process:
//                                        never executed twice, never silent
//   the keeper is silent                 nothing: its connection is there, and the body does not need it for calls
//   the process ends, or calls execve    the body ends
#pragma once

#include <kj/async-io.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "deputy/base/notice.h"
#include "deputy/home/home_side.h"
#include "deputy/home/job_control.h"
#include "deputy/session/cpus.h"
#include "deputy/session/kicks.h"
#include "deputy/session/session.h"
#include "deputy/session/surroundings.h"

namespace om::deputy {

// How long a keeper may be out of reach.
kj::Duration patience();
// Whether the body has done something that others may have seen, or home has given memory back.
bool body_has_acted(const HomeSide& home);

// One stay away.
class Watch {
 public:
  // Outlive the object.
  struct With {
    kj::AsyncIoContext& io;
    HomeSide& home;
    Session& session;
    const Surroundings& around;
    Notice& notice;  // told when something of `noticed()` changes
    int pidfd;
    std::string at;  // the other node
    // Ten times a second, or less often if the body hardly computes; `ping` once a second.
    std::function<void(bool ping)> on_tick;
  };
  struct Noticed {
    bool want_home = false;
    bool starves = false;  // want_home is for signals that leave a thread no time
    bool process_gone = false;
    bool exec = false;  // the deputy socket ended while the process lives
    bool keeper_lost = false;
    std::string body_end;  // how the body ended, as the keeper says
    // Why the body may not stay at the other node, as the keeper says.
    struct Eviction {
      std::string memory;  // what is short there
      bool draining = false;
    };
    std::optional<Eviction> evicted;

    bool is_the_end() const { return process_gone || exec || keeper_lost; }
  };

  explicit Watch(With with);

  // Begins to watch. Before, only cpus() and be_short_with() are of use.
  void begin();
  Noticed& noticed() { return noticed_; }
  Cpus& cpus() { return cpus_; }
  kj::TaskSet& tasks() { return tasks_; }
  // A keeper that may never have been told to let the body run has no more than this to come.
  void be_short_with(kj::Duration limit) {
    signs_.patience = std::min<kj::Duration>(signs_.patience, limit);
  }
  // What libom has said meanwhile.
  void read_home_messages();

 private:
  kj::Promise<void> watch_fd(int fd);
  kj::Promise<void> watch_process();
  kj::Promise<void> watch_session();
  kj::Promise<void> watch_eviction(schema::Keeper::Client keeper);
  kj::Promise<void> tick();
  void follow_job_control();
  void exchange_clocks();
  void look_for_exec();
  void greet_keeper();
  void kick_all();
  kj::Promise<void> reconnect();
  kj::Promise<void> wait_for_session();
  void take_session(kj::Own<kj::AsyncIoStream> stream);
  bool session_is_lost();

  struct Pings {
    bool under_way = false;    // not answered yet
    uint64_t ticks = 0;        // since the last
    uint64_t body_cpu_ns = 0;  // at the last answer
    bool quiet = false;        // the body has hardly computed between the last two answers
  };
  // Without a session: of the body's life.
  struct Signs {
    std::chrono::steady_clock::time_point last{};
    uint64_t calls = 0;
    kj::Duration patience;
  };
  struct Job {
    JobControl control;
    bool paused = false;
  };
  class Errors final : public kj::TaskSet::ErrorHandler {
   public:
    explicit Errors(Notice& notice) : notice_(notice) {}
    void taskFailed(kj::Exception&& exception) override;

   private:
    Notice& notice_;
  };

  With with_;
  Noticed noticed_;
  Pings pings_;
  Signs signs_;
  Job job_;
  int watched_socket_ = -1;  // deputy socket that a task watches
  Errors errors_;
  kj::TaskSet tasks_;
  Kicks kicks_;
  Cpus cpus_;
};

}  // namespace om::deputy
