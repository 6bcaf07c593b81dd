// SPDX-License-Identifier: Apache-2.0
#include "deputy/process.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

#include "common/base/log.h"

namespace om::deputy {

Process::Process(kj::AsyncIoContext& context, pid_t pid, std::string node,
                 const Link::Place& listen, LinkWire wire, Surroundings surroundings)
    : io(context),
      home_node(std::move(node)),
      around(std::move(surroundings)),
      session(context, listen, wire, member),
      home(pid),
      files(home),
      tracing(home),
      pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))),
      at_(home_node) {}

void Process::leave(const std::string& to) {
  where_ = Where::kAway;
  at_ = to;
  watch_ = kj::heap<Watch>(
      Watch::With{io, home, session, around, notice, pidfd.get(), at_, [this](bool ping) {
                    tracing.stop_if_unread();
                    look_after_files(ping);
                  }});
}

void Process::come_back() {
  where_ = Where::kOver;
  disconnect();
  at_ = home_node;
}

void Process::report() const {
  say_where();
  if (away()) around.session(at_, session.terms(), session.link().port());
}

Step Process::wait_for_keeper() {
  return session.wait_for_keeper(at_, [this] { return watch_ && watch_->noticed().is_the_end(); });
}

void Process::let_body_go_on() {
  session.renew_bulk();
  KJ_IF_MAYBE (body, session.body()) {
    if (watch_) watch_->tasks().add(body->resumeRequest().send().ignoreResult());
  }
}

void Process::look_after_files(bool write_files_back) {
  if (!watch_->noticed().want_home && files.is_wanted()) {
    log_info("files", "process {} comes home: somebody writes to a file that it has mapped",
             home.pid);
    watch_->noticed().want_home = true;
  }
  if (!write_files_back) return;
  KJ_IF_MAYBE (body, session.body()) files.write_back_all(*body, watch_->tasks());
}

void Process::disconnect() {
  session.end_body();
  watch_ = nullptr;
  session.close();
  home.socket.reset();
  files.clear();
}

void Process::cut(const std::string& what) {
  if (what == "channels" || what == "all") session.link().channels().cut();
  if (what == "session" || what == "all") session.cut();
  if (what == "node" && watch_.get() != nullptr) {
    watch_->noticed().keeper_lost = true;
    notice.happened();
  }
}

}  // namespace om::deputy
