// SPDX-License-Identifier: Apache-2.0
#include "migrator/moves/deputy_link.h"

#include <capnp/rpc-twoparty.h>
#include <errno.h>
#include <string.h>

#include <nlohmann/json.hpp>

#include "common/base/log.h"
#include "common/base/names.h"
#include "common/net/answer_first.h"
#include "common/schema/outcome.h"
#include "migrator/peers/open_calls.h"
#include "migrator/peers/wire_text.h"

namespace om::migrator {
namespace {

constexpr int kMaxComplaints = 10;
constexpr size_t kMaxCallWords = 1 << 14;  // of unanswered calls: 128 KiB

capnp::ReaderOptions reader_options() {
  capnp::ReaderOptions options;
  options.traversalLimitInWords = wire::MAX_MESSAGE_WORDS;
  options.nestingLimit = 16;
  return options;
}

// Whether the deputy answered with this failure; if not, the connection failed.
bool is_answer(const kj::Exception& exception) {
  return exception.getDescription().startsWith("remote exception:");
}

// Whether the connection is gone because the other end is. Its state does not distinguish that from a connection that
// we have given up, as the deputy then closes its end too.
bool is_end(const kj::Exception& exception) {
  const std::string_view text = exception.getDescription().cStr();
  auto says = [&](const char* words) { return text.find(words) != std::string_view::npos; };
  return text == "Peer disconnected." || says(::strerrordesc_np(ECONNRESET)) ||
         says(::strerrordesc_np(EPIPE));
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"  // kj::Own knows the type
class CommandErrors final : public kj::TaskSet::ErrorHandler {
 public:
  void taskFailed(kj::Exception&& exception) override {
    log_debug("deputy", "{}", exception.getDescription().cStr());
  }
};

}  // namespace

// The order matters for destruction, as in PeerLink::Connection.
struct DeputyLink::Connection {
  Connection(DeputyLink& link, UvKj& kj, UniqueFd socket);
  kj::Own<kj::AsyncIoStream> stream;
  OpenCalls messages;
  capnp::TwoPartyVatNetwork network;
  capnp::RpcSystem<capnp::rpc::twoparty::VatId> rpc;
  wire::Deputy::Client deputy = nullptr;
  CommandErrors errors;
  kj::TaskSet tasks{errors};  // commands in progress
};

class DeputyLink::Server final : public wire::Daemon::Server {
 public:
  explicit Server(std::shared_ptr<DeputyLink*> link) : link_(std::move(link)) {}

  kj::Promise<void> needGuest(NeedGuestContext context) override {
    DeputyLink* link = *link_;
    if (link == nullptr) return kj::READY_NOW;
    auto refuse = [&](std::string why) -> kj::Promise<void> {
      write_outcome(Reason{ReasonCode::kInternal, std::move(why)},
                    context.getResults().initOutcome());
      return kj::READY_NOW;
    };
    auto to = read_wire_text(context.getParams().getTo(), kMaxNodeName, "to");
    auto offer = read_deputy_offer(context.getParams().getOffer());
    if (!to || !offer) {
      const Error error = !to ? to.error() : offer.error();
      link->complain(error, "needGuest");
      return refuse(error.text());
    }
    if (std::exchange(link->asks_, true))
      return refuse("a guest of this process has been asked for already");
    struct Question {
      kj::Own<kj::PromiseFulfiller<void>> answered;
      std::optional<Reason> refused;
    };
    auto pair = kj::newPromiseAndFulfiller<void>();
    auto question = std::make_shared<Question>(Question{kj::mv(pair.fulfiller), std::nullopt});
    link->handlers_.on_need_guest(*to, std::move(*offer),
                                  [self = link_, question](const std::optional<Reason>& refused) {
                                    if (*self != nullptr) (*self)->asks_ = false;
                                    question->refused = refused;
                                    question->answered->fulfill();
                                  });
    return pair.promise.then([context, question]() mutable {
      write_outcome(question->refused, context.getResults().initOutcome());
    });
  }

  kj::Promise<void> state(StateContext context) override {
    return take(read_place(context.getParams()), "state",
                [](DeputyLink& link, DeputyPlace place) { link.take_state(place); });
  }
  kj::Promise<void> session(SessionContext context) override {
    return take(read_session(context.getParams().getSession()), "session",
                [](DeputyLink& link, DeputySession session) {
                  link.handlers_.on_session(std::move(session));
                });
  }
  kj::Promise<void> note(NoteContext context) override {
    return take(read_note(context.getParams()), "note", [](DeputyLink& link, DeputyNote note) {
      link.handlers_.on_note(note.code, note.message);
    });
  }
  kj::Promise<void> stats(StatsContext context) override {
    return take(read_stats(context.getParams()), "stats",
                [](DeputyLink& link, DeputyStats stats) { link.take_stats(stats); });
  }
  kj::Promise<void> leave(LeaveContext) override { return kj::READY_NOW; }

 private:
  // One unusable call does not end a connection.
  template <class T, class Use>
  kj::Promise<void> take(Result<T> said, const char* about, Use use) {
    DeputyLink* link = *link_;
    if (link == nullptr) return kj::READY_NOW;
    if (said) {
      use(*link, std::move(*said));
      return kj::READY_NOW;
    }
    link->complain(said.error(), about);
    return KJ_EXCEPTION(FAILED, said.error().text().c_str());
  }

  std::shared_ptr<DeputyLink*> link_;
};

DeputyLink::Connection::Connection(DeputyLink& link, UvKj& kj, UniqueFd socket)
    : stream(answer_first(wrap_socket(kj, std::move(socket)))),
      messages(*stream, DeputyLink::kMaxOpenCalls),
      network(messages, capnp::rpc::twoparty::Side::CLIENT, reader_options()),
      rpc(capnp::makeRpcServer(network, kj::heap<Server>(link.self_))) {
  rpc.setFlowLimit(kMaxCallWords);
  capnp::MallocMessageBuilder message;
  auto peer = message.initRoot<capnp::rpc::twoparty::VatId>();
  peer.setSide(capnp::rpc::twoparty::Side::SERVER);
  deputy = rpc.bootstrap(peer).castAs<wire::Deputy>();
  tasks.add(network.onDisconnect().then([&link] { link.ended(); }));
}
#pragma GCC diagnostic pop

DeputyLink::DeputyLink(UvKj& kj, UniqueFd socket, std::string home, Handlers handlers)
    : home_(std::move(home)),
      at_(home_),
      handlers_(std::move(handlers)),
      closing_(kj.loop()),
      self_(std::make_shared<DeputyLink*>(this)),
      connection_(kj::heap<Connection>(*this, kj, std::move(socket))) {}

DeputyLink::~DeputyLink() { hang_up(); }

void DeputyLink::hang_up() {
  *self_ = nullptr;
  closing_.stop();
  connection_ = nullptr;
}

// on_closed may destroy the link, so it must not run within one of the link's own promises.
void DeputyLink::ended() {
  // Make a call, whose failure says what was wrong.
  connection_->tasks.add(connection_->deputy.cutRequest().send().ignoreResult().then(
      [] {},
      [this](kj::Exception&& exception) {
        std::optional<Error> error;
        if (!is_end(exception)) error = plain_error(exception.getDescription().cStr());
        closing_.start(Milliseconds(0), [this, error = std::move(error)] {
          auto run = handlers_.on_closed;  // a copy: it may destroy this link
          run(error);
        });
      }));
}

// Calls `done` with the result of `read` on the answer, or with `otherwise` if the answer is unusable.
template <class Params, class Results, class T>
void DeputyLink::command(capnp::Request<Params, Results>&& request,
                         T (*read)(typename Results::Reader), T otherwise,
                         std::function<void(const T&)> done) {
  unanswered_++;
  connection_->tasks.add(
      request.send()
          .then(
              [read, otherwise](capnp::Response<Results>&& response) {
                T value = otherwise;
                KJ_IF_MAYBE (exception,
                             kj::runCatchingExceptions([&] { value = read(response); })) {
                  log_debug("deputy", "{}", exception->getDescription().cStr());
                }
                return value;
              },
              [otherwise](kj::Exception&& exception) -> T {
                if (!is_answer(exception)) kj::throwFatalException(kj::mv(exception));
                log_debug("deputy", "{}", escaped(exception.getDescription().cStr(), 400));
                return otherwise;
              })
          .then([this, done = std::move(done)](T&& value) {
            unanswered_--;
            done(value);
          }));
}

namespace {

const Reason& no_result() {
  static const Reason reason{ReasonCode::kInternal, "the deputy gave no result"};
  return reason;
}

template <class Results>
MoveReport move_of(Results from) {
  return read_move(from.getRecord());
}
template <class Results>
Verdict<Json> report_of(Results from) {
  return read_report(from.getOutcome(), from.getReport());
}
Done nothing_of(wire::Deputy::CutResults::Reader) { return {}; }

}  // namespace

void DeputyLink::depart(const std::string& to, MoveDone done) {
  auto request = connection_->deputy.departRequest();
  request.setTo(to.c_str());
  command(kj::mv(request), move_of<wire::Deputy::DepartResults::Reader>,
          MoveReport::failure(no_result()), std::move(done));
}

void DeputyLink::come_home(MoveDone done) {
  command(connection_->deputy.homeRequest(), move_of<wire::Deputy::HomeResults::Reader>,
          MoveReport::failure(no_result()), std::move(done));
}

void DeputyLink::stack(LookDone done) {
  command(connection_->deputy.stackRequest(), report_of<wire::Deputy::StackResults::Reader>,
          Verdict<Json>(no_result()), std::move(done));
}

void DeputyLink::trace(uint64_t cursor, LookDone done) {
  auto request = connection_->deputy.traceRequest();
  request.setCursor(cursor);
  command(kj::mv(request), report_of<wire::Deputy::TraceResults::Reader>,
          Verdict<Json>(no_result()), std::move(done));
}

bool DeputyLink::cut(const std::string& what, std::function<void()> done) {
  if (unanswered_ >= kMaxUnanswered) return false;
  auto request = connection_->deputy.cutRequest();
  request.setWhat(what.c_str());
  command<wire::Deputy::CutParams, wire::Deputy::CutResults, Done>(
      kj::mv(request), nothing_of, Done{}, [done = std::move(done)](const Done&) { done(); });
  return true;
}

void DeputyLink::take_over(const DeputySession& session, bool moving) {
  set_place(session.at, State::kAway);
  auto request = connection_->deputy.takeOverRequest();
  write_session(session, request.initSession());
  request.setMoving(moving);
  connection_->tasks.add(request.send().ignoreResult());
}

void DeputyLink::set_place(const std::string& at, State state) {
  at_ = at;
  state_ = state;
  heard_ = std::chrono::steady_clock::now();
}

void DeputyLink::take_state(const DeputyPlace& place) {
  State state = State::kMoving;
  if (place.state == wire::State::HOME) state = State::kHome;
  if (place.state == wire::State::AWAY) state = State::kAway;
  set_place(place.at == "home" ? home_ : place.at, state);
  handlers_.on_state();
}

void DeputyLink::take_stats(DeputyStats stats) {
  stats.received = std::chrono::steady_clock::now();
  if (stats_) {
    const double elapsed_ms =
        std::chrono::duration<double, std::milli>(stats.received - stats_->received).count();
    const double used_ms = static_cast<double>(stats.cpu_ms) - static_cast<double>(stats_->cpu_ms);
    if (elapsed_ms > 0 && used_ms > 0) stats.cpu_percent = 100 * used_ms / elapsed_ms;
  }
  stats_ = stats;
  heard_ = stats.received;
}

// The deputy belongs to the user, so only a few lines in the log.
void DeputyLink::complain(const Error& error, const char* about) {
  if (complaints_ == kMaxComplaints) return;
  log_warn("deputy", "{}: {}, ignoring{}", about, error.text(),
           ++complaints_ == kMaxComplaints ? ", as further ones of this deputy" : "");
}

std::chrono::steady_clock::duration DeputyLink::silence() const {
  if (state_ != State::kAway) return {};
  return std::chrono::steady_clock::now() - heard_;
}

const char* state_name(DeputyLink::State state) {
  switch (state) {
    case DeputyLink::State::kHome:
      return "home";
    case DeputyLink::State::kMoving:
      return "moving";
    case DeputyLink::State::kAway:
      return "away";
    case DeputyLink::State::kLost:
      return "lost";
  }
  return "?";
}

}  // namespace om::migrator
