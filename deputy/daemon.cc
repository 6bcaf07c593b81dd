// SPDX-License-Identifier: Apache-2.0
#include "deputy/daemon.h"

#include <memory>

#include "deputy/session/outcome.h"

namespace om::deputy {

namespace {

using Refused = std::optional<Reason>;

Reason no_daemon() { return Reason{ReasonCode::kTargetUnreachable, "om-migrator is gone"}; }

template <size_t N>
kj::ArrayPtr<const kj::byte> bytes_of(const uint8_t (&key)[N]) {
  return kj::arrayPtr(key, N);
}

kj::Promise<Refused> need_guest(Control& control, const std::string& to, const SessionTerms& terms,
                                LinkWire wire, uint16_t port, const OfferedProcess& process) {
  auto* daemon = control.daemon();
  if (daemon == nullptr) return Refused(no_daemon());
  auto request = daemon->needGuestRequest();
  request.setTo(to.c_str());
  auto offer = request.initOffer();
  write_offered(process, offer);
  offer.setSession(bytes_of(terms.session));
  offer.setSecret(bytes_of(terms.secret));
  // The daemon knows which one both nodes are good at.
  offer.setCipher(wire == LinkWire::kPlain ? 0 : cipher_number(Cipher::kChaCha20Poly1305));
  offer.setHomePort(port);
  return request.send().then(
      [](capnp::Response<wire::Daemon::NeedGuestResults>&& answer) -> Refused {
        const Step verdict = check(answer.getOutcome());
        return verdict ? Refused() : Refused(verdict.error());
      },
      [](kj::Exception&&) -> Refused { return no_daemon(); });
}

}  // namespace

Surroundings daemon_of(Control& control) {
  Surroundings s;
  s.need_guest = [&control](const std::string& to, const SessionTerms& terms, LinkWire wire,
                            uint16_t port, const OfferedProcess& process) {
    return need_guest(control, to, terms, wire, port, process);
  };
  s.state = [&control](const std::string& at, wire::State state) {
    auto* daemon = control.daemon();
    if (daemon == nullptr) return;
    auto request = daemon->stateRequest();
    request.setAt(at.c_str());
    request.setState(state);
    control.tell(request.send().ignoreResult());
  };
  s.note = [&control](ReasonCode code, const std::string& message) {
    auto* daemon = control.daemon();
    if (daemon == nullptr) return;
    auto request = daemon->noteRequest();
    request.setCode(code_name(code).c_str());
    request.setMessage(message.c_str());
    control.tell(request.send().ignoreResult());
  };
  s.session = [&control](const std::string& at, const SessionTerms& terms, uint16_t port) {
    auto* daemon = control.daemon();
    if (daemon == nullptr) return;
    auto request = daemon->sessionRequest();
    auto session = request.initSession();
    session.setAt(at.c_str());
    session.setSession(bytes_of(terms.session));
    session.setSecret(bytes_of(terms.secret));
    session.setPort(port);
    control.tell(request.send().ignoreResult());
  };
  s.stats = [&control, waits = std::make_shared<bool>(false)](const Stats& stats) {
    auto* daemon = control.daemon();
    // Do not send more every second to a daemon that does not answer.
    if (daemon == nullptr || *waits) return;
    auto request = daemon->statsRequest();
    request.setCpuMs(stats.cpu_ms);
    request.setRssBytes(stats.rss_bytes);
    request.setThreads(stats.threads);
    request.setCalls(stats.calls);
    *waits = true;
    control.tell(request.send().ignoreResult().attach(kj::defer([waits] { *waits = false; })));
  };
  return s;
}

}  // namespace om::deputy
