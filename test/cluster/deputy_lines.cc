// SPDX-License-Identifier: Apache-2.0
//
// Speaks RPC for a script that stands in for om-deputy: requests of the daemon on descriptor 3
// (common/schema/deputy.capnp) go to stdout as JSON lines, lines on stdin go to the daemon. Ends with the daemon, or
// when stdin has ended and everything has been sent. It does not check what a line says: the daemon must do that.
//
//   to the script    {"verb":"depart","id":7,"to":"n2"} home, stack, trace, cut (what)
//                    {"verb":"take over","at":"n2","moving":true}
//                    {"verb":"guest","ok":false,"code":"...","detail":"..."}, in the order of the questions
//   from the script  {"answer":7,"data":{...}} with result, code, detail and figures, or the report
//                    {"say":"state","at":..,"state":..} session, note, stats, need_guest (to, port, offer)
#include <capnp/rpc-twoparty.h>
#include <fcntl.h>
#include <kj/async-io.h>
#include <kj/debug.h>
#include <kj/io.h>
#include <stdio.h>
#include <unistd.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "common/net/json_line.h"
#include "common/schema/deputy.capnp.h"

namespace {

using om::Json;
namespace schema = ::om::wire;

void print(const Json& line) {
  const std::string text = om::to_json_line(line);
  if (fwrite(text.data(), 1, text.size(), stdout) != text.size() || fflush(stdout) != 0) _exit(1);
}

std::string text_of(const Json& line, const char* key) { return line.value(key, std::string()); }

void set_outcome(const Json& data, schema::Outcome::Builder to) {
  const std::string result = text_of(data, "result");
  if (result == "moved" || result == "looked") return to.setOk();
  auto refused = to.initRefused();
  refused.setCode(text_of(data, "code").c_str());
  refused.setDetail(text_of(data, "detail").c_str());
}

void set_record(const Json& data, schema::MoveRecord::Builder to) {
  set_outcome(data, to.initOutcome());
  to.setFailed(text_of(data, "result") == "failed");
  to.setMode(text_of(data, "mode").c_str());
  to.setFreezeMs(data.value("freeze_ms", 0.0));
  to.setTotalMs(data.value("total_ms", 0.0));
  to.setBytesRaw(data.value("bytes_raw", 0u));
  to.setBytesWire(data.value("bytes_wire", 0u));
  to.setPages(data.value("pages", 0u));
  to.setThreads(data.value("threads", 0u));
}

// Requests of the daemon that the script has not answered yet.
class Questions {
 public:
  kj::Promise<Json> ask(Json line) {
    line["id"] = ++last_;
    print(line);
    auto pair = kj::newPromiseAndFulfiller<Json>();
    open_[last_] = kj::mv(pair.fulfiller);
    return kj::mv(pair.promise);
  }
  void answer(int64_t id, Json data) {
    auto it = open_.find(id);
    if (it == open_.end()) return;
    it->second->fulfill(std::move(data));
    open_.erase(it);
  }

 private:
  int64_t last_ = 0;
  std::map<int64_t, kj::Own<kj::PromiseFulfiller<Json>>> open_;
};

class Service final : public schema::Deputy::Server {
 public:
  explicit Service(Questions& script) : script_(script) {}

  kj::Promise<void> depart(DepartContext context) override {
    return script_.ask({{"verb", "depart"}, {"to", context.getParams().getTo().cStr()}})
        .then(
            [context](Json data) mutable { set_record(data, context.getResults().initRecord()); });
  }
  kj::Promise<void> home(HomeContext context) override {
    return script_.ask({{"verb", "home"}}).then([context](Json data) mutable {
      set_record(data, context.getResults().initRecord());
    });
  }
  kj::Promise<void> stack(StackContext context) override {
    return script_.ask({{"verb", "stack"}}).then([context](Json data) mutable {
      set_outcome(data, context.getResults().initOutcome());
      context.getResults().setReport(text_of(data, "report").c_str());
    });
  }
  kj::Promise<void> takeOver(TakeOverContext context) override {
    auto params = context.getParams();
    KJ_REQUIRE(params.getSession().getSession().size() == 16);
    KJ_REQUIRE(params.getSession().getSecret().size() == 32);
    print({{"verb", "take over"},
           {"at", params.getSession().getAt().cStr()},
           {"moving", params.getMoving()}});
    return kj::READY_NOW;
  }
  kj::Promise<void> cut(CutContext context) override {
    return script_.ask({{"verb", "cut"}, {"what", context.getParams().getWhat().cStr()}})
        .ignoreResult();
  }

 private:
  Questions& script_;
};

void set_offer(const Json& line, schema::Offer::Builder to) {
  const Json& offer = line["offer"];
  const std::string session = line["session"], secret = line["secret"];
  auto bytes = [](const std::string& text) {
    return kj::arrayPtr(reinterpret_cast<const kj::byte*>(text.data()), text.size());
  };
  to.setSession(bytes(session));
  to.setSecret(bytes(secret));
  to.setCipher(line["cipher"]);
  to.setHomePort(line["port"]);
  to.setKeeperGateAbi(offer["abi"]);
  to.setPid(offer["pid"]);
  to.setUid(offer["uid"]);
  to.setCommand(text_of(offer, "command").c_str());
  to.setMemoryBytes(offer["memory_bytes"]);
  to.setThreads(offer["threads"]);
  to.setCpus(offer["cpus"]);
  auto features = to.initCpuFeatures(static_cast<unsigned>(offer["cpu_features"].size()));
  for (unsigned i = 0; i < features.size(); i++)
    features.set(i, offer["cpu_features"][i].get<std::string>().c_str());
}

kj::Promise<void> say(schema::Daemon::Client& daemon, const Json& line) {
  const std::string what = text_of(line, "say");
  if (what == "state") {
    auto request = daemon.stateRequest();
    request.setAt(text_of(line, "at").c_str());
    const std::string state = text_of(line, "state");
    request.setState(state == "home"   ? schema::State::HOME
                     : state == "away" ? schema::State::AWAY
                                       : schema::State::MOVING);
    return request.send().ignoreResult();
  }
  if (what == "note") {
    auto request = daemon.noteRequest();
    request.setCode(text_of(line, "code").c_str());
    request.setMessage(text_of(line, "message").c_str());
    return request.send().ignoreResult();
  }
  if (what == "stats") {
    auto request = daemon.statsRequest();
    request.setCpuMs(line.value("cpu_ms", 0u));
    request.setRssBytes(line.value("rss_bytes", 0u));
    request.setThreads(line.value("threads", 0u));
    request.setCalls(line.value("calls", 0u));
    return request.send().ignoreResult();
  }
  KJ_REQUIRE(what == "need_guest", "the script said what nobody says", what.c_str());
  auto request = daemon.needGuestRequest();
  request.setTo(text_of(line, "to").c_str());
  set_offer(line, request.initOffer());
  return request.send().then([](capnp::Response<schema::Daemon::NeedGuestResults>&& answer) {
    Json verdict{{"verb", "guest"}, {"ok", answer.getOutcome().isOk()}};
    if (answer.getOutcome().isRefused()) {
      verdict["code"] = answer.getOutcome().getRefused().getCode().cStr();
      verdict["detail"] = answer.getOutcome().getRefused().getDetail().cStr();
    }
    print(verdict);
  });
}

class Quiet final : public kj::TaskSet::ErrorHandler {
 public:
  void taskFailed(kj::Exception&&) override {}  // the daemon rejects what the script says
};

kj::Promise<void> obey(kj::AsyncInputStream& input, schema::Daemon::Client& daemon,
                       Questions& script, kj::TaskSet& said, om::LineSplitter& lines) {
  auto buffer = kj::heapArray<char>(1 << 16);
  auto reading = input.tryRead(buffer.begin(), 1, buffer.size());
  return reading.then([&, buffer = kj::mv(buffer)](size_t n) -> kj::Promise<void> {
    if (n == 0) return kj::READY_NOW;
    KJ_REQUIRE(lines.push({buffer.begin(), n}).ok(), "the script's lines are too long");
    while (lines.has_line()) {
      const Json line = om::parse_json_line(lines.pop()).value();
      if (line.contains("answer")) {
        script.answer(line["answer"], line["data"]);
      } else {
        said.add(say(daemon, line));
      }
    }
    return obey(input, daemon, script, said, lines);
  });
}

}  // namespace

int main() {
  auto io = kj::setupAsyncIo();
  auto stream = io.lowLevelProvider->wrapSocketFd(kj::AutoCloseFd(3));
  auto input = io.lowLevelProvider->wrapInputFd(kj::AutoCloseFd(0));
  Questions script;
  capnp::TwoPartyVatNetwork network(*stream, capnp::rpc::twoparty::Side::SERVER);
  auto rpc = capnp::makeRpcServer(network, kj::heap<Service>(script));
  capnp::MallocMessageBuilder message;
  auto peer = message.initRoot<capnp::rpc::twoparty::VatId>();
  peer.setSide(capnp::rpc::twoparty::Side::CLIENT);
  auto daemon = rpc.bootstrap(peer).castAs<schema::Daemon>();
  Quiet quiet;
  kj::TaskSet said(quiet);
  om::LineSplitter lines(1 << 20);
  auto script_ends = obey(*input, daemon, script, said, lines).then([&] {
    return kj::evalLast([&] { return daemon.leaveRequest().send().ignoreResult(); });
  });
  script_ends.exclusiveJoin(network.onDisconnect()).wait(io.waitScope);
  return 0;
}
