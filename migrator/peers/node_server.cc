// SPDX-License-Identifier: Apache-2.0
#include "migrator/peers/node_server.h"

#include <kj/debug.h>

#include "common/movable/verdict.h"
#include "common/schema/node.capnp.h"
#include "common/schema/outcome.h"
#include "migrator/peers/pace.h"
#include "migrator/peers/wire_text.h"

namespace om::migrator {
namespace {

// How often a connection may call at most, and how many calls it may save up.
constexpr Milliseconds kHelloEvery{500}, kAdmitEvery{20};
constexpr int kHellosSaved = 16, kAdmitsSaved = 256;

// Cap'n Proto's and KJ's interfaces have no virtual destructors: kj::Own destroys through the type it was made with.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"
class Server final : public wire::Node::Server {
 public:
  Server(UvKj& kj, const NodeAnswers& answers, std::shared_ptr<Partner> partner)
      : kj_(kj), answers_(answers), partner_(std::move(partner)) {}

  kj::Promise<void> hello(HelloContext context) override {
    return paced(hellos_, context, [this, context]() mutable { return answer_hello(context); });
  }
  kj::Promise<void> admit(AdmitContext context) override {
    return paced(admits_, context, [this, context]() mutable { return answer_offer(context); });
  }

 private:
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
    write_info(answers_.facts(), context.getResults().initPeer());
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
  Pace hellos_{kHelloEvery, kHellosSaved}, admits_{kAdmitEvery, kAdmitsSaved};
};
#pragma GCC diagnostic pop

}  // namespace

wire::Node::Client serve_node(UvKj& kj, const NodeAnswers& answers,
                              std::shared_ptr<Partner> partner) {
  return kj::heap<Server>(kj, answers, std::move(partner));
}

}  // namespace om::migrator
