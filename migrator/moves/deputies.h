// SPDX-License-Identifier: Apache-2.0
//
// The deputies of this node's processes: starts one om-deputy per process on demand, as the owner of the process; reaps
// it; takes back those that outlived an earlier daemon (deputy.attach). If one dies while its process is away or on its
// way, another takes the process over. After several failures the process is reported lost, but retries go on at
// intervals as long as the process exists.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/net/ports.h"
#include "common/proc/process_id.h"
#include "common/uv/child.h"
#include "common/uv/json_stream.h"
#include "common/uv/loop.h"
#include "common/uv/uvkj.h"
#include "migrator/moves/attach_key.h"
#include "migrator/moves/child_list.h"
#include "migrator/moves/deputy_link.h"
#include "migrator/processes/events.h"
#include "migrator/processes/process_table.h"

namespace om::migrator {

class Deputies {
 public:
  struct Settings {
    std::string node;          // own name
    std::string listen_host;   // where deputies listen for their keepers
    std::string control_path;  // where deputies find a restarted daemon
    bool change_user = false;  // this daemon is root
    bool plain = false;        // connections with keepers are not sealed
    PortRange ports{};         // that deputies listen on
  };
  struct Handlers {
    std::function<void(pid_t pid, const std::string& to, Offer offer,
                       DeputyLink::GuestAnswer answer)>
        on_need_guest;
    // This process no longer has a deputy. clean: the deputy ended normally.
    std::function<void(pid_t pid, bool clean)> on_gone;
  };

  Deputies(UvKj& kj, Settings settings, ChildList& children, const AttachKey& key, Events& events);

  void set_handlers(Handlers handlers) { handlers_ = std::move(handlers); }

  // nullptr if there is none that listens (yet).
  DeputyLink* find(pid_t pid);
  // Receives the running deputy or a new one, at once or when it runs; called once.
  using Ready = std::function<void(Result<DeputyLink*>)>;
  void ensure(const ProcessInfo& process, Ready ready);
  // A deputy of the process has connected on its own: answers `ok`, and makes the connection its link. False: no
  // earlier daemon gave it this secret, the process has a deputy already, or it did not wait for the answer.
  bool attach(const ProcessInfo& process, pid_t deputy_pid, const std::string& secret,
              JsonStream& stream);

  // Starts deputies for processes whose deputy died along with an earlier daemon.
  void recover();

  // Where the process is; this node's name if there is no deputy.
  std::string at(const ProcessId& process) const;
  DeputyLink::State state(const ProcessId& process) const;
  std::optional<DeputyStats> stats(const ProcessId& process) const;
  // DeputyLink::silence() of its deputy.
  std::chrono::steady_clock::duration silence(const ProcessId& process) const;
  // The process's deputy, if job control or a debugger has stopped it, so that it does not answer.
  std::optional<pid_t> stopped_deputy(const ProcessId& process) const;
  // Whether the process's deputy has closed its socket and is about to exit; on_gone follows.
  bool ending(const ProcessId& process) const;
  // Whether its deputy is missing but expected: an earlier daemon's that has not come back to us (yet) or has not said
  // where the process is, or one that is about to take the process over.
  bool detached(const ProcessId& process) const;
  // Processes that have a deputy or have lost it; ascending.
  std::vector<ProcessId> processes() const;
  // Drops entries of processes that have ended and no longer have a deputy.
  void prune();

 private:
  // How the child ended.
  struct Exit {
    std::string how;  // empty while it runs
    bool clean = false;
    std::unique_ptr<Timer> patience;  // for its socket to end
  };
  // The next deputy, which takes over.
  struct Next {
    int attempts = 0;              // since a deputy last said where the process is
    int short_lives = 0;           // consecutive deputies that died early, whatever they said
    std::unique_ptr<Timer> pause;  // before it is started
  };
  struct Entry {
    ProcessId process;
    uid_t uid = 0;
    ProcessId deputy;
    std::unique_ptr<Child> child;  // null: not our child
    bool starting = false;         // child does not run yet
    std::vector<Ready> waiting;    // for it to run
    std::unique_ptr<DeputyLink> link;
    bool silent = false;  // it came back on its own and has not yet said where the process is
    bool closed = false;  // the link's socket has ended
    Exit exit;
    DeputyLink::State last_state = DeputyLink::State::kHome;
    std::optional<DeputySession> session;
    MonotonicTime started{};
    Next next;
  };

  DeputyLink::Handlers link_handlers(pid_t pid);
  Entry* entry_of(const ProcessId& process);
  const Entry* entry_of(const ProcessId& process) const;
  void note(const Entry& entry, std::string kind, std::string node, std::optional<ReasonCode> code,
            std::string message);
  void on_closed(pid_t pid, std::optional<Error> error);
  void on_exit(pid_t pid, int64_t code, int signal);
  void gone(pid_t pid, bool clean, std::string how);
  // Starts a deputy for entry.process and sets entry.child and .link; what is sent before it runs waits in the socket.
  // `ready` is called when it runs.
  Result<void> spawn(Entry& entry, const ProcessInfo& process, const std::string& listen,
                     Ready ready);
  void on_started(pid_t pid, Result<pid_t> deputy);
  void take_over_later(pid_t pid);
  void start_takeover(pid_t pid);

  UvKj& kj_;
  Loop& loop_;
  Settings settings_;
  ChildList& children_;
  const AttachKey& key_;
  Events& events_;
  Handlers handlers_;
  std::map<pid_t, Entry> entries_;
};

// Environment for deputies and keepers: only what they need, nothing else of the daemon's own.
std::vector<std::string> child_environment(const std::vector<std::string>& more);

}  // namespace om::migrator
