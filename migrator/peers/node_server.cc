// SPDX-License-Identifier: Apache-2.0
#include "migrator/peers/node_server.h"

#include <kj/debug.h>

#include <type_traits>

#include "common/movable/verdict.h"
#include "common/schema/cluster.capnp.h"
#include "common/schema/outcome.h"
#include "common/tls/openssl.h"
#include "migrator/peers/cluster_wire.h"
#include "migrator/peers/pace.h"
#include "migrator/peers/wire_text.h"

namespace om::migrator {
namespace {

// How often a connection may call at most, and how many calls it may save up.
constexpr Milliseconds kHelloEvery{500}, kAdmitEvery{20}, kQuestionEvery{500};
constexpr int kHellosSaved = 16, kAdmitsSaved = 256, kQuestionsSaved = 16;
// A list of members has many pieces.
constexpr Milliseconds kPageEvery{100};
constexpr int kPagesSaved = 64;
constexpr size_t kMaxCursor = 64;

// Cap'n Proto's and KJ's interfaces have no virtual destructors: kj::Own destroys through the type it was made with.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"
class Server final : public wire::Member::Server {
 public:
  Server(UvKj& kj, const NodeAnswers& answers, std::shared_ptr<Partner> partner)
      : kj_(kj), answers_(answers), partner_(std::move(partner)) {}

  kj::Promise<void> hello(HelloContext context) override {
    return paced(hellos_, context, [this, context]() mutable { return answer_hello(context); });
  }
  kj::Promise<void> admit(AdmitContext context) override {
    return paced(admits_, context, [this, context]() mutable { return answer_offer(context); });
  }

  kj::Promise<void> news(NewsContext context) override {
    return asked(hellos_, context,
                 [this, context](const ClusterDesk& desk, const Certificate& peer) mutable {
                   const ClusterNews news = value_of(read_news(context.getParams().getCluster()));
                   desk.heard(peer, news, partner_->from);
                   write_news(desk.news(), context.getResults().initCluster());
                 });
  }
  kj::Promise<void> renew(RenewContext context) override {
    return asked(
        questions_, context, [context](const ClusterDesk& desk, const Certificate& peer) mutable {
          const auto request =
              read_wire_text(context.getParams().getRequest(), kMaxPemBytes, "request");
          auto results = context.getResults();
          auto renewed = request ? desk.renew(peer, *request)
                                 : Expected<std::string, Failure>(
                                       Failure{ExitCode::kFailure, request.error().text()});
          write_renewed(renewed, results);
        });
  }
  kj::Promise<void> deny(DenyContext context) override {
    return asked(
        questions_, context, [context](const ClusterDesk& desk, const Certificate& peer) mutable {
          const auto entries = value_of(read_entries(context.getParams().getEntries()));
          const auto own = desk.exchange_denied(peer, entries);
          write_entries(own, context.getResults().initEntries(static_cast<kj::uint>(own.size())));
        });
  }
  kj::Promise<void> groupKey(GroupKeyContext context) override {
    return asked(questions_, context,
                 [context](const ClusterDesk& desk, const Certificate&) mutable {
                   const GroupKey key = desk.group_key();
                   context.getResults().setNumber(key.number);
                   context.getResults().setKey(wire_data(key.bytes));
                 });
  }
  kj::Promise<void> accused(AccusedContext context) override {
    return asked(
        questions_, context, [context](const ClusterDesk& desk, const Certificate&) mutable {
          const auto incarnation =
              desk.accused ? desk.accused(context.getParams().getIncarnation()) : std::nullopt;
          KJ_REQUIRE(incarnation.has_value(), "this node is in no membership");
          context.getResults().setIncarnation(*incarnation);
        });
  }
  kj::Promise<void> snapshot(SnapshotContext context) override {
    return asked(pages_, context, [context](const ClusterDesk& desk, const Certificate&) mutable {
      const capnp::Data::Reader after = context.getParams().getAfter();
      KJ_REQUIRE(after.size() <= kMaxCursor, "a cursor is shorter");
      const auto page = desk.snapshot
                            ? desk.snapshot(std::string(after.asChars().begin(), after.size()))
                            : std::nullopt;
      KJ_REQUIRE(page.has_value(), "this node is in no membership");
      context.getResults().setRumours(wire_data(page->rumours));
      context.getResults().setNext(wire_data(page->next));
    });
  }
  kj::Promise<void> leave(LeaveContext context) override {
    return asked(questions_, context,
                 [](const ClusterDesk& desk, const Certificate& peer) { desk.farewell(peer); });
  }
  kj::Promise<void> drain(DrainContext context) override {
    return asked(questions_, context,
                 [this, context](const ClusterDesk&, const Certificate& peer) mutable {
                   KJ_REQUIRE(answers_.drain != nullptr, "nobody empties this node");
                   ++partner_->busy;
                   return answers_.drain(peer, Milliseconds(context.getParams().getLimitMs()))
                       .then([context](EmptyAnswer answer) mutable {
                         write_emptied(answer, context.getResults());
                       })
                       .attach(kj::defer([partner = partner_] {
                         --partner->busy;
                         partner->heard = std::chrono::steady_clock::now();
                       }));
                 });
  }
  kj::Promise<void> undrain(UndrainContext context) override {
    return asked(questions_, context,
                 [this, context](const ClusterDesk&, const Certificate& peer) mutable {
                   KJ_REQUIRE(answers_.undrain != nullptr, "nobody empties this node");
                   write_opened(answers_.undrain(peer), context.getResults());
                 });
  }

 private:
  // A question of one member to another.
  template <class Context, class Answer>
  kj::Promise<void> asked(Pace& pace, Context& context, Answer answer) {
    return paced(pace, context, [this, answer = kj::mv(answer)]() mutable {
      if (answers_.desk == nullptr || !partner_->certificate)
        return kj::Promise<void>(KJ_EXCEPTION(FAILED, "only members may ask this"));
      // Since it connected it may have been removed.
      if (answers_.desk->denies(partner_->certificate->id))
        return kj::Promise<void>(KJ_EXCEPTION(FAILED, "you were removed from the cluster"));
      partner_->heard = std::chrono::steady_clock::now();
      partner_->known = true;
      using Answered = decltype(answer(*answers_.desk, *partner_->certificate));
      if constexpr (std::is_void_v<Answered>) {
        answer(*answers_.desk, *partner_->certificate);
        return kj::Promise<void>(kj::READY_NOW);
      } else {
        return kj::Promise<void>(answer(*answers_.desk, *partner_->certificate));
      }
    });
  }

  template <class Context, class Answer>
  kj::Promise<void> paced(Pace& pace, Context& context, Answer answer) {
    const Milliseconds delay = pace.next(std::chrono::steady_clock::now());
    if (delay.count() == 0) return answer();
    context.allowCancellation();  // when its connection ends
    return kj_.after(delay).then(kj::mv(answer)).attach(thisCap());
  }

  kj::Promise<void> answer_hello(HelloContext context) {
    auto facts = read_info(context.getParams().getSelf());
    if (!facts) return KJ_EXCEPTION(FAILED, facts.error().text().c_str());
    if (partner_->certificate && facts->name != partner_->certificate->name) {
      return KJ_EXCEPTION(FAILED, kj::str(partner_->certificate->name.c_str(), " calls itself ",
                                          facts->name.c_str()));
    }
    NodeFacts own = answers_.facts();
    if (own.life != 0 && context.getParams().getKnows() == own.life) own.cpu_features.clear();
    write_info(own, context.getResults().initPeer());
    partner_->heard = std::chrono::steady_clock::now();
    partner_->known = true;
    if (is_peer(facts->name)) answers_.on_hello(facts->name);
    return kj::READY_NOW;
  }

  kj::Promise<void> answer_offer(AdmitContext context) {
    partner_->heard = std::chrono::steady_clock::now();
    return judge(context.getParams().getOffer())
        .then([context](std::optional<Reason> reason) mutable {
          write_outcome(reason, context.getResults().initOutcome());
        });
  }

  bool is_peer(const std::string& name) const {
    if (partner_->certificate) return partner_->certificate->name == name;
    auto address = answers_.address_of(name);
    return address && address->same_host(partner_->from);
  }

  // Under TLS home may be anywhere: it may have several addresses, and reach this node through a translated one.
  bool may_be_home(const Address& home) const {
    return partner_->certificate ? !home.is_any() : home.same_host(partner_->from);
  }

  kj::Promise<std::optional<Reason>> judge(wire::Offer::Reader wire_offer) {
    using Answer = std::optional<Reason>;
    auto offer = read_offer(wire_offer);
    if (!offer) return Answer(Reason{ReasonCode::kInternal, offer.error().text()});
    if (!is_peer(offer->home_node) || !may_be_home(offer->home)) {
      return Answer(refuse(ReasonCode::kBlocked, "{} at {} is no peer of this node",
                           offer->home_node, partner_->text()));
    }
    return answers_.admit(*offer);
  }

  UvKj& kj_;
  const NodeAnswers& answers_;
  std::shared_ptr<Partner> partner_;
  Pace hellos_{kHelloEvery, kHellosSaved}, admits_{kAdmitEvery, kAdmitsSaved},
      questions_{kQuestionEvery, kQuestionsSaved}, pages_{kPageEvery, kPagesSaved};
};
#pragma GCC diagnostic pop

}  // namespace

wire::Node::Client serve_node(UvKj& kj, const NodeAnswers& answers,
                              std::shared_ptr<Partner> partner) {
  return kj::heap<Server>(kj, answers, std::move(partner));
}

}  // namespace om::migrator
