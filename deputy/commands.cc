// SPDX-License-Identifier: Apache-2.0
#include "deputy/commands.h"

#include <kj/debug.h>
#include <string.h>

#include "common/net/json_line.h"
#include "common/schema/outcome.h"

namespace om::deputy {

namespace {

void write(const MoveRecord& record, wire::MoveRecord::Builder to) {
  write_outcome(record.reason, to.initOutcome());
  to.setFailed(record.result == "failed");
  to.setMode(record.mode.c_str());
  to.setFreezeMs(record.freeze_ms);
  to.setTotalMs(record.total_ms);
  to.setBytesRaw(record.bytes_raw);
  to.setBytesWire(record.bytes_wire);
  to.setPages(record.pages);
  to.setThreads(record.threads);
}

template <class Results>
void write_report(const Verdict<nlohmann::json>& report, Results to) {
  if (!report) return write_outcome(report.error(), to.initOutcome());
  to.initOutcome().setOk();
  to.setReport(to_json_text(*report).c_str());
}

template <size_t N>
void read_key(capnp::Data::Reader from, uint8_t (&to)[N]) {
  KJ_REQUIRE(from.size() == N, "a key of another size");
  memcpy(to, from.begin(), N);
}

}  // namespace

class CommandQueue::Service final : public wire::Deputy::Server {
 public:
  explicit Service(CommandQueue& queue) : queue_(queue), commands_(queue.commands_) {}

  kj::Promise<void> depart(DepartContext context) override {
    return queue_.add([&c = commands_, context]() mutable {
      write(c.depart(context.getParams().getTo().cStr()), context.getResults().initRecord());
    });
  }
  kj::Promise<void> home(HomeContext context) override {
    return queue_.add([&c = commands_, context]() mutable {
      write(c.come_home(), context.getResults().initRecord());
    });
  }
  kj::Promise<void> stack(StackContext context) override {
    return queue_.add(
        [&c = commands_, context]() mutable { write_report(c.stack(), context.getResults()); });
  }
  kj::Promise<void> trace(TraceContext context) override {
    return queue_.add([&c = commands_, context]() mutable {
      write_report(c.trace(context.getParams().getCursor()), context.getResults());
    });
  }
  kj::Promise<void> takeOver(TakeOverContext context) override {
    return queue_.add([&c = commands_, context]() mutable {
      auto session = context.getParams().getSession();
      SessionTerms terms;
      read_key(session.getSession(), terms.session);
      read_key(session.getSecret(), terms.secret);
      c.take_over(session.getAt().cStr(), terms, context.getParams().getMoving());
    });
  }
  kj::Promise<void> cut(CutContext context) override {
    return queue_.add(
        [&c = commands_, context]() mutable { c.cut(context.getParams().getWhat().cStr()); });
  }

 private:
  CommandQueue& queue_;
  Commands& commands_;
};

wire::Deputy::Client CommandQueue::capability() { return kj::heap<Service>(*this); }

kj::Promise<void> CommandQueue::add(kj::Function<void()> carry_out) {
  auto pair = kj::newPromiseAndFulfiller<void>();
  waiting_.push_back({kj::mv(carry_out), kj::mv(pair.fulfiller)});
  news_.happened();
  return kj::mv(pair.promise);
}

bool CommandQueue::obey() {
  if (waiting_.empty()) return false;
  Command command = kj::mv(waiting_.front());
  waiting_.pop_front();
  command.carry_out();
  command.done->fulfill();
  return true;
}

}  // namespace om::deputy
