// SPDX-License-Identifier: Apache-2.0
//
// migrator/moves/deputy_link.h with the other end of its socket in the same loop: what a deputy may do.
#include "migrator/moves/deputy_link.h"

#include <capnp/rpc-twoparty.h>
#include <capnp/rpc.capnp.h>
#include <capnp/serialize.h>
#include <doctest/doctest.h>
#include <sys/socket.h>

#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

namespace om::migrator {
namespace {

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"  // kj::Own knows the type
// The deputy's end.
struct Far {
  // Does what the test says.
  class Service final : public wire::Deputy::Server {
   public:
    explicit Service(Far& far) : far_(far) {}
    kj::Promise<void> depart(DepartContext context) override {
      far_.heard.push_back("depart " + std::string(context.getParams().getTo().cStr()));
      return far_.departs(context.getResults().initRecord());
    }
    kj::Promise<void> stack(StackContext context) override {
      context.getResults().initOutcome().setOk();
      context.getResults().setReport(far_.report.c_str());
      return kj::READY_NOW;
    }
    kj::Promise<void> takeOver(TakeOverContext context) override {
      auto session = context.getParams().getSession();
      far_.heard.push_back("take over at " + std::string(session.getAt().cStr()));
      return kj::READY_NOW;
    }
    kj::Promise<void> cut(CutContext) override { return kj::NEVER_DONE; }

   private:
    Far& far_;
  };

  Far(UvKj& kj, UniqueFd socket)
      : stream(wrap_socket(kj, std::move(socket))),
        network(*stream, capnp::rpc::twoparty::Side::SERVER),
        rpc(capnp::makeRpcServer(network, kj::heap<Service>(*this))) {
    capnp::MallocMessageBuilder message;
    auto peer = message.initRoot<capnp::rpc::twoparty::VatId>();
    peer.setSide(capnp::rpc::twoparty::Side::CLIENT);
    daemon = rpc.bootstrap(peer).castAs<wire::Daemon>();
  }

  kj::Promise<void> say_state(const std::string& at, wire::State state) {
    auto request = daemon.stateRequest();
    request.setAt(at.c_str());
    request.setState(state);
    return request.send().ignoreResult();
  }
  kj::Promise<void> say_stats(uint64_t cpu_ms, uint32_t threads) {
    auto request = daemon.statsRequest();
    request.setCpuMs(cpu_ms);
    request.setThreads(threads);
    return request.send().ignoreResult();
  }
  kj::Promise<void> say_note(const std::string& code) {
    auto request = daemon.noteRequest();
    request.setCode(code.c_str());
    return request.send().ignoreResult();
  }
  // The code and the detail of the refusal; empty: admitted.
  kj::Promise<std::string> ask_for_guest(const std::string& to, bool sound) {
    auto request = daemon.needGuestRequest();
    request.setTo(to.c_str());
    Offer offer;
    offer.home = *Address::parse("127.0.0.1", 4000);
    offer.session = std::string(kSessionBytes, 's');
    offer.secret = std::string(sound ? kSecretBytes : 3, 'k');
    offer.pid = 1;
    offer.threads = offer.cpus = 1;
    write_offer(offer, request.initOffer());
    return request.send().then([](capnp::Response<wire::Daemon::NeedGuestResults>&& answer) {
      if (answer.getOutcome().isOk()) return std::string();
      auto refused = answer.getOutcome().getRefused();
      return std::string(refused.getCode().cStr()) + " " + refused.getDetail().cStr();
    });
  }

  std::vector<std::string> heard;
  std::function<kj::Promise<void>(wire::MoveRecord::Builder)> departs;
  std::string report = "{}";
  kj::Promise<void> said = kj::READY_NOW;
  kj::Own<kj::AsyncIoStream> stream;
  capnp::TwoPartyVatNetwork network;
  capnp::RpcSystem<capnp::rpc::twoparty::VatId> rpc;
  wire::Daemon::Client daemon = nullptr;
};
#pragma GCC diagnostic pop

struct Deputy {
  Loop loop;
  UvKj kj{loop};
  int states = 0;
  bool closed = false;
  std::optional<Error> error;
  std::vector<ReasonCode> notes;
  std::vector<DeputyLink::GuestAnswer> guests;
  UniqueFd socket;
  kj::Own<Far> far;
  std::unique_ptr<DeputyLink> link;

  explicit Deputy(bool speaks = true) {
    std::array<int, 2> pair{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair.data()) == 0);
    DeputyLink::Handlers handlers;
    handlers.on_need_guest = [this](const std::string&, const Offer&,
                                    DeputyLink::GuestAnswer answer) {
      guests.push_back(std::move(answer));
    };
    handlers.on_state = [this] { ++states; };
    handlers.on_note = [this](ReasonCode code, const std::string&) { notes.push_back(code); };
    handlers.on_session = [](const DeputySession&) {};
    handlers.on_closed = [this](std::optional<Error> why) {
      closed = true;
      error = std::move(why);
      link.reset();  // which is allowed
    };
    link = std::make_unique<DeputyLink>(kj, UniqueFd(pair[0]), "n1", std::move(handlers));
    socket = UniqueFd(pair[1]);
    if (speaks) far = kj::heap<Far>(kj, std::move(socket));
  }
  ~Deputy() { far = nullptr; }

  void wait(kj::Promise<void> promise) { promise.wait(kj.wait_scope()); }
  bool refused(kj::Promise<void> promise) {
    auto failed = kj::runCatchingExceptions([&] { wait(kj::mv(promise)); });
    return failed != nullptr;
  }
  void run_until(const std::function<bool()>& condition) {
    while (!condition()) wait(kj.after(Milliseconds(1)));
  }
};

TEST_CASE("states are node names") {
  Deputy deputy;
  CHECK(deputy.link->at() == "n1");
  deputy.wait(deputy.far->say_state("n2", wire::State::AWAY));
  CHECK(deputy.link->at() == "n2");
  CHECK(deputy.link->state() == DeputyLink::State::kAway);
  deputy.wait(deputy.far->say_state("home", wire::State::HOME));
  CHECK(deputy.link->at() == "n1");
  CHECK(deputy.link->state() == DeputyLink::State::kHome);
  CHECK(deputy.states == 2);
}

TEST_CASE("an answer comes once, and behind what was said before it") {
  Deputy deputy;
  deputy.far->departs = [&deputy](wire::MoveRecord::Builder record) {
    record.initOutcome().setOk();
    record.setPages(7);
    // Like the deputy: nobody waits for this answer.
    deputy.far->said = deputy.far->say_state("n2", wire::State::AWAY);
    return kj::Promise<void>(kj::READY_NOW);
  };
  int answers = 0;
  deputy.link->depart("n2", [&](const MoveReport& report) {
    ++answers;
    CHECK(deputy.states == 1);
    CHECK_FALSE(report.reason);
    CHECK(report.pages == 7);
  });
  deputy.run_until([&] { return answers != 0; });
  CHECK(deputy.far->heard == std::vector<std::string>{"depart n2"});
  CHECK(answers == 1);
}

TEST_CASE("the last answer of a deputy that ends is heard before its end") {
  Deputy deputy;
  deputy.far->departs = [&deputy](wire::MoveRecord::Builder record) {
    record.initOutcome().initRefused().setCode("TRACED");
    return deputy.far->say_state("home", wire::State::HOME);
  };
  std::string code;
  deputy.link->depart("n2", [&](const MoveReport& report) {
    CHECK_FALSE(deputy.closed);
    code = report.reason->name();
  });
  deputy.run_until([&] { return !deputy.far->heard.empty(); });
  deputy.wait(
      kj::evalLast([&] { return deputy.far->daemon.leaveRequest().send().ignoreResult(); }));
  deputy.far = nullptr;
  deputy.run_until([&] { return deputy.closed; });
  CHECK(code == "TRACED");
  CHECK_FALSE(deputy.error);
}

TEST_CASE("an answer that cannot be used is a failure, not the end") {
  Deputy deputy;
  std::vector<MoveReport> reports;
  auto depart = [&] {
    const size_t before = reports.size();
    deputy.link->depart("n2", [&](const MoveReport& report) { reports.push_back(report); });
    deputy.run_until([&] { return reports.size() != before; });
    return *reports.back().reason;
  };
  deputy.far->departs = [](wire::MoveRecord::Builder) { return kj::READY_NOW; };
  CHECK(depart().code == ReasonCode::kInternal);
  deputy.far->departs = [](wire::MoveRecord::Builder) -> kj::Promise<void> {
    return KJ_EXCEPTION(DISCONNECTED, "says who");
  };
  CHECK(depart().detail == "the deputy gave no result");
  CHECK(reports.back().failed);
  std::string said;
  for (const char* report : {"[]", "{",
                             "{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]"
                             "]]]]]]]]]]]]]]}"}) {
    CAPTURE(report);
    deputy.far->report = report;
    bool answered = false;
    deputy.link->stack([&](const Verdict<Json>& answer) {
      answered = true;
      CHECK_FALSE(answer.ok());
    });
    deputy.run_until([&] { return answered; });
  }
  CHECK_FALSE(deputy.closed);
}

TEST_CASE("calls that cannot be used are refused, the connection goes on") {
  Deputy deputy;
  Far& far = *deputy.far;
  CHECK(deputy.refused(far.say_state("../x", wire::State::AWAY)));
  CHECK(deputy.refused(far.say_state("n2", static_cast<wire::State>(9))));
  CHECK(deputy.refused(far.say_state(std::string(100, 'n'), wire::State::AWAY)));
  CHECK(deputy.refused(far.say_stats(UINT64_MAX, 1)));
  CHECK(deputy.refused(far.say_note("X\n2026")));
  CHECK(deputy.refused(far.daemon.sessionRequest().send().ignoreResult()));
  CHECK(deputy.states == 0);
  CHECK(deputy.notes.empty());
  CHECK_FALSE(deputy.closed);
  deputy.wait(far.say_note("HOME_MEMORY"));
  CHECK(deputy.notes == std::vector<ReasonCode>{ReasonCode::kHomeMemory});
}

TEST_CASE("guests are asked for soundly, and one at a time") {
  Deputy deputy;
  Far& far = *deputy.far;
  CHECK(far.ask_for_guest("n2", false).wait(deputy.kj.wait_scope()) ==
        "INTERNAL secret is not 32 bytes long");
  auto first = far.ask_for_guest("n2", true);
  CHECK(far.ask_for_guest("n3", true).wait(deputy.kj.wait_scope()) ==
        "INTERNAL a guest of this process has been asked for already");
  REQUIRE(deputy.guests.size() == 1);
  deputy.guests[0](Reason{ReasonCode::kFull, "no room"});
  CHECK(first.wait(deputy.kj.wait_scope()) == "FULL no room");
  auto second = far.ask_for_guest("n3", true);
  deputy.run_until([&] { return deputy.guests.size() == 2; });
  // The answer may come late.
  deputy.link.reset();
  deputy.guests[1](std::nullopt);
}

TEST_CASE("stats give the use of the CPU between two of them") {
  Deputy deputy;
  deputy.wait(deputy.far->say_stats(100, 3));
  REQUIRE(deputy.link->stats());
  CHECK(deputy.link->stats()->cpu_percent == 0);
  CHECK(deputy.link->stats()->threads == 3);
  std::this_thread::sleep_for(Milliseconds(2));
  deputy.wait(deputy.far->say_stats(101, 3));
  CHECK(deputy.link->stats()->cpu_percent > 0);
  deputy.wait(deputy.far->say_stats(50, 3));  // a new body counts from 0
  CHECK(deputy.link->stats()->cpu_percent == 0);
}

TEST_CASE("a deputy that answers nothing is asked no more") {
  Deputy deputy;
  for (size_t i = 0; i < DeputyLink::kMaxUnanswered; ++i)
    CHECK(deputy.link->cut("all", [] { FAIL("answered"); }));
  CHECK_FALSE(deputy.link->cut("all", [] {}));
}

TEST_CASE("what is known of a process comes first to a deputy that takes it over") {
  Deputy deputy;
  deputy.link->take_over(
      {"n3", std::string(kSessionBytes, 's'), std::string(kSecretBytes, 't'), 4000}, true);
  CHECK(deputy.link->at() == "n3");
  CHECK(deputy.link->state() == DeputyLink::State::kAway);
  deputy.run_until([&] { return !deputy.far->heard.empty(); });
  CHECK(deputy.far->heard == std::vector<std::string>{"take over at n3"});
}

TEST_CASE("the end of the deputy's socket is reported") {
  Deputy deputy;
  deputy.far = nullptr;
  deputy.run_until([&] { return deputy.closed; });
  CHECK_FALSE(deputy.error);
}

TEST_CASE("bytes that are no message end the connection, with an error") {
  const std::string bytes(4096, '\xff');                  // 2^32 segments
  const std::string huge("\0\0\0\0\xff\xff\xff\x7f", 8);  // of 2^31 words
  for (const std::string& said : {bytes, huge}) {
    Deputy deputy(false);
    REQUIRE(::send(deputy.socket.get(), said.data(), said.size(), MSG_NOSIGNAL) > 0);
    deputy.run_until([&] { return deputy.closed; });
    CHECK(deputy.error);
  }
}

TEST_CASE("a deputy that never finishes its calls ends its connection") {
  Deputy deputy(false);
  std::array<char, 65536> answers;
  for (uint32_t i = 0; i < 2 * DeputyLink::kMaxOpenCalls && !deputy.closed; ++i) {
    capnp::MallocMessageBuilder message;
    message.initRoot<capnp::rpc::Message>().initBootstrap().setQuestionId(i);
    auto words = capnp::messageToFlatArray(message);
    auto bytes = words.asBytes();
    while (!deputy.closed &&
           ::send(deputy.socket.get(), bytes.begin(), bytes.size(), MSG_NOSIGNAL) < 0) {
      static_cast<void>(::recv(deputy.socket.get(), answers.data(), answers.size(), 0));
      deputy.wait(deputy.kj.after(Milliseconds(1)));
    }
  }
  while (!deputy.closed) {
    static_cast<void>(::recv(deputy.socket.get(), answers.data(), answers.size(), 0));
    deputy.wait(deputy.kj.after(Milliseconds(1)));
  }
  CHECK(deputy.error);
}

}  // namespace
}  // namespace om::migrator
