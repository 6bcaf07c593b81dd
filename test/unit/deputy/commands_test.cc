// SPDX-License-Identifier: Apache-2.0
//
// deputy/commands.h, deputy/daemon.h and deputy/control.h with a daemon in the same loop.
#include "deputy/commands.h"

#include <capnp/rpc-twoparty.h>
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <kj/async-io.h>
#include <kj/debug.h>
#include <kj/io.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "deputy/control.h"
#include "deputy/daemon.h"

namespace om::deputy {
namespace {

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"  // kj::Own knows the type
struct FakeDaemon {
  class Service final : public wire::Daemon::Server {
   public:
    explicit Service(std::vector<std::string>& heard) : heard_(heard) {}
    kj::Promise<void> needGuest(NeedGuestContext context) override {
      auto params = context.getParams();
      const auto offer = params.getOffer();
      CHECK((offer.getKeeperGateAbi() == 1 && offer.getPid() == 2 && offer.getUid() == 3));
      CHECK((offer.getMemoryBytes() == 4 && offer.getThreads() == 5 && offer.getCpus() == 6));
      CHECK((offer.getCpuFeatures().size() == 1 && offer.getCpuFeatures()[0] == "fpu"));
      heard_.push_back("guest at " + std::string(params.getTo().cStr()) + " for " +
                       offer.getCommand().cStr());
      auto refused = context.getResults().initOutcome().initRefused();
      refused.setCode("FULL");
      refused.setDetail("no room");
      return kj::READY_NOW;
    }
    kj::Promise<void> state(StateContext context) override {
      heard_.push_back("state " + std::string(context.getParams().getAt().cStr()));
      return kj::READY_NOW;
    }
    kj::Promise<void> stats(StatsContext context) override {
      auto said = context.getParams();
      heard_.push_back(fmt::format("stats {} {} {} {}", said.getCpuMs(), said.getRssBytes(),
                                   said.getThreads(), said.getCalls()));
      return kj::READY_NOW;
    }
    kj::Promise<void> leave(LeaveContext) override {
      heard_.push_back("leave");
      return kj::READY_NOW;
    }

   private:
    std::vector<std::string>& heard_;
  };

  FakeDaemon(kj::Own<kj::AsyncIoStream> given, std::vector<std::string>& heard)
      : stream(kj::mv(given)),
        network(*stream, capnp::rpc::twoparty::Side::CLIENT),
        rpc(capnp::makeRpcServer(network, kj::heap<Service>(heard))) {
    capnp::MallocMessageBuilder message;
    auto peer = message.initRoot<capnp::rpc::twoparty::VatId>();
    peer.setSide(capnp::rpc::twoparty::Side::SERVER);
    deputy = rpc.bootstrap(peer).castAs<wire::Deputy>();
  }
  kj::Own<kj::AsyncIoStream> stream;
  capnp::TwoPartyVatNetwork network;
  capnp::RpcSystem<capnp::rpc::twoparty::VatId> rpc;
  wire::Deputy::Client deputy = nullptr;
};
#pragma GCC diagnostic pop

struct Doing final : Commands {
  std::vector<std::string> done;
  MoveRecord depart(const std::string& to) override {
    done.push_back("depart " + to);
    MoveRecord record;
    record.result = "moved";
    record.pages = 7;
    return record;
  }
  MoveRecord come_home() override {
    done.push_back("home");
    MoveRecord record;
    record.reason = Reason{ReasonCode::kOutOfReach, "n2"};
    return record;
  }
  Verdict<nlohmann::json> stack() override { return Reason{ReasonCode::kNoSuchProcess, ""}; }
  Verdict<nlohmann::json> trace(uint64_t cursor) override {
    return nlohmann::json{{"next", cursor + 1}};
  }
  void take_over(const std::string& at, const SessionTerms&, bool moving) override {
    done.push_back("take over at " + at + (moving ? ", moving" : ""));
  }
  void cut(const std::string& what) override { done.push_back("cut " + what); }
};

struct World {
  kj::AsyncIoContext io = kj::setupAsyncIo();
  Doing doing;
  Notice news;
  CommandQueue queue{doing, news};
  std::vector<std::string> heard;
  kj::Own<FakeDaemon> daemon;
  kj::Own<Control> control;
  Surroundings say;

  explicit World(Control::Attaching attaching = {}) {
    std::array<int, 2> pair{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair.data()) == 0);
    control = kj::heap<Control>(io, pair[0], queue, news, std::move(attaching));
    daemon = kj::heap<FakeDaemon>(wrap(pair[1]), heard);
    say = daemon_of(*control);
  }
  kj::Own<kj::AsyncIoStream> wrap(int fd) {
    return io.lowLevelProvider->wrapSocketFd(kj::AutoCloseFd(fd));
  }
  void wait_for_news() { news.wait().wait(io.waitScope); }
  std::optional<Reason> ask() {
    const SessionTerms terms{};
    const OfferedProcess offer{1, 2, 3, "job", 4, 5, 6, {"fpu"}};
    return say.need_guest("n2", terms, LinkWire::kSealed, 4000, offer).wait(io.waitScope);
  }
};

TEST_CASE("commands wait for the top level and are carried out in their order") {
  World world;
  auto request = world.daemon->deputy.departRequest();
  request.setTo("n2");
  auto left = request.send();
  auto home = world.daemon->deputy.homeRequest().send();
  auto stack = world.daemon->deputy.stackRequest().send();
  world.wait_for_news();
  world.io.waitScope.poll();
  CHECK(world.doing.done.empty());
  CHECK(world.queue.obey());
  CHECK(world.doing.done == std::vector<std::string>{"depart n2"});
  CHECK_FALSE(home.poll(world.io.waitScope));
  CHECK(world.queue.obey());
  CHECK(world.queue.obey());
  CHECK_FALSE(world.queue.obey());
  auto moved = left.wait(world.io.waitScope);
  CHECK(moved.getRecord().getOutcome().isOk());
  CHECK(moved.getRecord().getPages() == 7);
  auto refused = home.wait(world.io.waitScope);
  CHECK(refused.getRecord().getOutcome().getRefused().getCode() == "OUT_OF_REACH");
  CHECK(refused.getRecord().getOutcome().getRefused().getDetail() == "n2");
  CHECK(refused.getRecord().getFailed());
  CHECK(stack.wait(world.io.waitScope).getOutcome().getRefused().getCode() == "NO_SUCH_PROCESS");
}

TEST_CASE("a deputy leaves when its last answer has been heard") {
  World world;
  std::string report;
  auto request = world.daemon->deputy.traceRequest();
  request.setCursor(41);
  auto trace = request.send()
                   .then([&](capnp::Response<wire::Deputy::TraceResults>&& answer) {
                     report = answer.getReport().cStr();
                     world.heard.push_back("answer");
                   })
                   .eagerlyEvaluate(nullptr);
  world.wait_for_news();
  CHECK(world.queue.obey());
  world.say.state("n2", wire::State::AWAY);
  world.say.stats({1, 2, 3, 4});
  world.control->leave().wait(world.io.waitScope);
  CHECK(std::count(world.heard.begin(), world.heard.end(), "stats 1 2 3 4") == 1);
  CHECK(report == "{\"next\":42}");
  CHECK(world.heard.size() == 4);
  CHECK(world.heard.back() == "leave");
}

TEST_CASE("without a daemon questions are answered and nothing is said") {
  World world;
  auto refused = world.ask();
  REQUIRE(refused);
  CHECK(refused->code == ReasonCode::kFull);
  CHECK(world.heard == std::vector<std::string>{"guest at n2 for job"});
  world.daemon = nullptr;
  world.wait_for_news();
  CHECK(world.control->daemon() == nullptr);
  CHECK(world.ask()->code == ReasonCode::kTargetUnreachable);
  world.say.state("n2", wire::State::AWAY);
  world.control->leave().wait(world.io.waitScope);
}

TEST_CASE("a daemon that comes later is found, and speaks behind its line") {
  std::string directory = "/tmp/om-test-XXXXXX";
  REQUIRE(::mkdtemp(directory.data()) != nullptr);
  const std::string path = directory + "/control.sock";
  World* there = nullptr;
  Control::Attaching attaching;
  attaching.path = path;
  attaching.request = {{"verb", "deputy.attach"}};
  attaching.wanted = [] { return true; };
  attaching.attached = [&there] { there->say.state("n2", wire::State::AWAY); };
  World world(std::move(attaching));
  there = &world;
  world.daemon = nullptr;
  world.wait_for_news();
  auto listener = world.io.provider->getNetwork()
                      .parseAddress(kj::str("unix:", path.c_str()))
                      .wait(world.io.waitScope)
                      ->listen();
  auto stream = listener->accept().wait(world.io.waitScope);
  std::array<char, 256> said{};
  const size_t n = stream->tryRead(said.data(), 1, said.size()).wait(world.io.waitScope);
  CHECK(std::string(said.data(), n) == "{\"verb\":\"deputy.attach\"}\n");
  stream->write("{\"ok\":true}\n", 12).wait(world.io.waitScope);
  world.daemon = kj::heap<FakeDaemon>(kj::mv(stream), world.heard);  // which calls at once
  auto request = world.daemon->deputy.cutRequest();
  request.setWhat("all");
  auto cut = request.send();
  while (!world.queue.obey()) world.wait_for_news();
  cut.wait(world.io.waitScope);
  CHECK(world.doing.done == std::vector<std::string>{"cut all"});
  world.control->leave().wait(world.io.waitScope);
  CHECK(world.heard == std::vector<std::string>{"state n2", "leave"});
  ::unlink(path.c_str());
  ::rmdir(directory.c_str());
}

}  // namespace
}  // namespace om::deputy
