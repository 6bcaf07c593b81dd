// SPDX-License-Identifier: Apache-2.0
//
// A cluster's CA and nodes with certificates, and connections between them on the two loops that the stream is for.
#pragma once

#include <doctest/doctest.h>
#include <kj/async-io.h>
#include <sys/socket.h>

#include <array>
#include <optional>
#include <string>

#include "common/tls/tls_stream.h"
#include "common/uv/loop.h"
#include "common/uv/uvkj.h"
#include "migrator/identity/cluster_ca.h"
#include "migrator/identity/identity.h"
#include "test/unit/tls/place.h"

namespace om {

struct Lab {
  migrator::ClusterCa ca;

  explicit Lab(const char* name = "lab", WallTime now = std::chrono::system_clock::now())
      : ca(migrator::ClusterCa::make(name, now).value()) {}

  TlsCredentials credentials(const char* name,
                             WallTime now = std::chrono::system_clock::now()) const {
    const Place place;
    const auto node = migrator::Identity::open(place.own()).value();
    auto certificate = ca.sign(node.request(name).value(), name, 3, now);
    REQUIRE(certificate.ok());
    return {*certificate, node.key_pem().value(), ca.certificate_pem().value()};
  }
  TlsContext node(const char* name, WallTime now = std::chrono::system_clock::now()) const {
    return TlsContext::member(credentials(name, now)).value();
  }
};

using Stream = kj::Own<kj::AsyncIoStream>;
using Streams = std::array<Stream, 2>;
using TlsStreams = std::array<kj::Own<TlsStream>, 2>;

// The loop of om-migrator, or that of the deputy and the keeper.
class World {
 public:
  enum class Kind { kUv, kKj };

  explicit World(Kind kind = Kind::kUv) {
    if (kind == Kind::kKj) {
      kj_ = kj::setupAsyncIo();
    } else {
      uv_.emplace();
    }
  }

  kj::WaitScope& scope() {
    KJ_IF_MAYBE (kj, kj_) return kj->waitScope;
    return uv_->kj.wait_scope();
  }
  kj::Promise<void> after(Milliseconds delay) {
    KJ_IF_MAYBE (kj, kj_)
      return kj->provider->getTimer().afterDelay(delay.count() * kj::MILLISECONDS);
    return uv_->kj.after(delay);
  }
  // Two ends of a socket pair.
  Streams pair() {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) == 0);
    return {wrap(UniqueFd(ends[0])), wrap(UniqueFd(ends[1]))};
  }
  Stream wrap(UniqueFd socket) {
    KJ_IF_MAYBE (kj, kj_) {
      return kj->lowLevelProvider->wrapSocketFd(socket.release(),
                                                kj::LowLevelAsyncIoProvider::TAKE_OWNERSHIP);
    }
    return wrap_socket(uv_->kj, std::move(socket));
  }
  TlsStreams shake(const TlsContext& client, const TlsContext& server, Streams ends) {
    auto accepted = tls_accept(server, kj::mv(ends[1]), after(kLong));
    auto connected = tls_connect(client, kj::mv(ends[0]), std::nullopt, after(kLong));
    TlsStreams out;
    out[0] = connected.wait(scope());
    out[1] = accepted.wait(scope());
    return out;
  }
  // What became of it: "" or the error. Its type is in front: "DISCONNECTED: ...".
  template <class T>
  std::string outcome(kj::Promise<T> promise) {
    std::string text;
    promise
        .then([](auto&&...) {},
              [&](kj::Exception&& e) {
                text = e.getType() == kj::Exception::Type::DISCONNECTED ? "DISCONNECTED: "
                                                                        : "FAILED: ";
                text += e.getDescription().cStr();
              })
        .wait(scope());
    return text;
  }

  static constexpr Milliseconds kLong{20'000};

 private:
  struct Uv {
    Loop loop;
    UvKj kj{loop};
  };
  std::optional<Uv> uv_;
  kj::Maybe<kj::AsyncIoContext> kj_;
};

inline std::string read_text(World& world, kj::AsyncIoStream& stream, size_t size) {
  std::string text(size, '\0');
  const size_t n = stream.tryRead(text.data(), size, size).wait(world.scope());
  text.resize(n);
  return text;
}

}  // namespace om
