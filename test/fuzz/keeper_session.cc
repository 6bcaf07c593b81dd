// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: a hostile home against the keeper (guest): calls of session.capnp in any order, with sensible numbers or
// others, frames on BULK, and the end of the session at any time. What must hold: no write outside what home has
// described, no more pages than offered, and the keeper ends soon after its home.
//
//   input   offer (1 byte, 16 MiB each), how the body answers (1), calls: a byte that says which one, and one for each
//           number in it. Bytes of zero are a guest that comes, runs and goes.
#include <capnp/rpc-twoparty.h>
#include <kj/async-unix.h>
#include <signal.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/image/bulk.h"
#include "common/image/description.h"
#include "common/schema/session.capnp.h"
#include "guest/keeper.h"
#include "libom/abi/version.h"
#include "test/fuzz/fuzz.h"
#include "test/fuzz/guest_world.h"

namespace {

using om::fuzz::Bytes;
using om::fuzz::require;
using om::fuzz::World;
namespace wire = om::wire;

constexpr uint64_t kImage = 0x7e0000000000, kArena = 0x7d0000000000, kProgram = 0x100000000;
constexpr uint64_t kImageBytes = 64 << 12;
constexpr int kMaxCalls = 24;
constexpr int64_t kSecond = 1000000000;
constexpr auto kLimit = 100 * kj::SECONDS;

uint64_t body_state() { return kImage + 16 * om::kPageSize; }

class Home {
 public:
  Home(World& world, Bytes& bytes) : world_(world), bytes_(bytes) {}

  kj::Own<kj::AsyncIoStream> connected(om::PreambleKind kind) {
    auto pipe = kj::newTwoWayPipe();
    if (kind == om::kPreambleBulk) {
      reading_ = nullptr;
      if (bulk_.get() != nullptr)
        old_.add(kj::mv(bulk_));  // something may still be in progress on it
      bulk_ = kj::mv(pipe.ends[0]);
      reading_ = bytes_.take<uint8_t>() % 4 == 3 ? kj::Promise<void>(kj::NEVER_DONE)
                                                 : drain().eagerlyEvaluate([](kj::Exception&&) {});
      return kj::mv(pipe.ends[1]);
    }
    // Another session, if there is input left.
    if (gone_ns != 0 && (bytes_.rest_size() == 0 || sessions_++ > 2))
      kj::throwFatalException(KJ_EXCEPTION(DISCONNECTED, "home is gone"));
    gone_ns = 0;
    stream_ = kj::mv(pipe.ends[0]);
    client_ = kj::heap<capnp::TwoPartyClient>(*stream_);
    keeper_ = client_->bootstrap().castAs<wire::Keeper>();
    body_ = first_body();
    talking_ = talk(0).eagerlyEvaluate([](kj::Exception&&) {});
    return kj::mv(pipe.ends[1]);
  }

  int64_t gone_ns = 0;  // time since which there is no session

 private:
  kj::Promise<void> drain() {
    return bulk_->tryRead(sink_, 1, sizeof sink_).then([this](size_t n) -> kj::Promise<void> {
      if (n == 0) return kj::READY_NOW;
      return drain();
    });
  }

  kj::Promise<void> talk(int calls) {
    if (calls == kMaxCalls || bytes_.rest_size() == 0) return leave();
    const uint8_t which = bytes_.take<uint8_t>();
    kj::Promise<void> call = kj::evalNow([&] { return say(which % 16, calls); });
    // Do not wait for some.
    if (which & 0x80) {
      unanswered_.add(call.eagerlyEvaluate([](kj::Exception&&) {}));
      call = kj::READY_NOW;
    }
    return world_.time.timer.timeoutAfter(kLimit, kj::mv(call))
        .catch_([](kj::Exception&&) {})
        .then([this, calls] { return talk(calls + 1); });
  }

  kj::Promise<void> leave() {
    gone_ns = std::max<int64_t>(world_.time.now_ns(), 1);
    // Not from within its own callback.
    return kj::evalLater([this] {
      unanswered_ = {};
      reading_ = nullptr;
      keeper_ = nullptr;
      body_ = nullptr;
      client_ = nullptr;
      bulk_ = nullptr;
      old_ = {};
      stream_ = nullptr;
    });
  }

  bool wild() { return bytes_.take<uint8_t>() == 0xff; }
  // Now and then a meaningless number.
  uint64_t odd(uint64_t sensible) {
    const uint8_t how = bytes_.take<uint8_t>();
    switch (how) {
      case 0xff:
        return ~uint64_t{0};
      case 0xfe:
        return World::kTop;
      case 0xfd:
        return World::kTop - om::kPageSize;
      case 0xfc:
        return bytes_.take<uint64_t>();
      case 0xfb:
        return uint64_t{1} << 63;
      case 0xfa:
        return 0;
      case 0xf9:
        return sensible + 1;
      case 0xf8:
        return kImage;
      case 0xf7:
        return kArena;
      default:
        return sensible;
    }
  }
  // A page address in the program's memory.
  uint64_t place() { return kProgram + bytes_.take<uint8_t>() * om::kPageSize; }

  kj::Promise<void> say(unsigned which, int calls) {
    auto& keeper = KJ_ASSERT_NONNULL(keeper_);
    auto& k = KJ_ASSERT_NONNULL(body_);
    // Zeros mean the order of a real deputy.
    constexpr unsigned kOrder[] = {1, 2, 15, 3, 4, 7, 8, 9, 12};
    if (which == 0)
      which = kOrder[std::min<size_t>(static_cast<size_t>(calls), std::size(kOrder) - 1)];
    switch (which) {
      case 1:
        return prepare(keeper, om::kFirstMember);
      case 2:
        return build(k);
      case 3: {
        auto q = k.filledRequest();
        q.setPages(odd(sent_pages_));
        return q.send().ignoreResult();
      }
      case 4: {
        auto q = k.commitRequest();
        q.setEpoch(static_cast<uint32_t>(odd(1)));
        q.setHomeMonoNs(static_cast<int64_t>(odd(kSecond)));
        q.setHomeRealNs(static_cast<int64_t>(odd(kSecond)));
        return q.send().ignoreResult();
      }
      case 5: {
        auto q = k.kickRequest();
        auto slots = q.initSlots(wild() ? 20000 : 3);
        for (unsigned i = 0; i < slots.size(); ++i) slots.set(i, i);
        return q.send().ignoreResult();
      }
      case 6: {
        auto q = k.pauseRequest();
        q.setOn(bytes_.take<uint8_t>() % 2 == 0);
        return q.send().ignoreResult();
      }
      case 7: {
        auto q = k.stopRequest();
        q.setGeneration(static_cast<uint32_t>(odd(7)));
        q.setLook(bytes_.take<uint8_t>() % 2 == 1);
        return q.send().ignoreResult();
      }
      case 8:
        return collect(k);
      case 9:
        return k.resumeRequest().send().ignoreResult();
      case 10: {
        auto q = k.pingRequest();
        q.setHomeMonoNs(static_cast<int64_t>(odd(2 * kSecond)));
        q.setHomeRealNs(static_cast<int64_t>(odd(2 * kSecond)));
        return q.send().ignoreResult();
      }
      case 11: {
        auto q = k.peekRequest();
        q.setAddress(odd(place()));
        q.setBytes(static_cast<uint32_t>(odd(4096)));
        return q.send().ignoreResult();
      }
      case 12:
        return k.endRequest().send().ignoreResult();
      case 13:
        switch (bytes_.take<uint8_t>() % 4) {
          case 1:
            return keeper.evictedRequest().send().ignoreResult();
          case 2:
            return prepare(keeper, static_cast<uint32_t>(odd(om::kMembers)));
          case 3:
            return pin(k);
          default:
            return k.endsRequest().send().ignoreResult();
        }
      case 14: {
        auto q = keeper.bodyRequest();
        q.setMember(static_cast<uint32_t>(odd(om::kFirstMember)));
        return q.send().ignoreResult();
      }
      default:
        return pages();
    }
  }

  // In a later session it is there already; in the first it is made, and its calls fail until then.
  wire::Body::Client first_body() {
    auto q = KJ_ASSERT_NONNULL(keeper_).bodyRequest();
    q.setMember(om::kFirstMember);
    return q.send().getBody();
  }

  kj::Promise<void> prepare(wire::Keeper::Client& k, uint32_t member) {
    auto q = k.makeBodyRequest();
    q.setMember(member);
    auto s = q.initSpec();
    s.setKeeperGateAbi(static_cast<uint32_t>(odd(om::kKeeperGateAbi)));
    s.setImageLo(odd(kImage));
    s.setImageHi(odd(kImage + kImageBytes));
    s.setGateLo(odd(kImage + om::kPageSize));
    s.setGateHi(odd(kImage + 2 * om::kPageSize));
    s.setBodyEntry(odd(kImage + om::kPageSize));
    s.setBodyState(odd(body_state()));
    s.setArena(odd(kArena));
    s.setSlots(static_cast<uint32_t>(odd(1 + bytes_.take<uint8_t>())));
    s.initImage(wild() ? 100 : kImageBytes);
    auto segments = s.initSegments(wild() ? 40 : 1);
    for (auto g : segments) {
      g.setLo(odd(kImage));
      g.setHi(odd(kImage + kImageBytes));
      g.setProt(7);
    }
    s.setCommand("x");
    auto limits = s.initLimits(1);
    limits[0].setResource(static_cast<uint32_t>(odd(3)));
    s.setThreads(static_cast<uint32_t>(odd(1)));
    s.setCpus(static_cast<uint32_t>(odd(8)));
    world_.body_state = s.getBodyState();
    auto made = q.send();
    body_ = made.getBody();
    return made.ignoreResult();
  }

  kj::Promise<void> build(wire::Body::Client& k) {
    auto q = k.buildRequest();
    auto m = q.initImage();
    m.setVersion(static_cast<uint32_t>(odd(om::kImageVersion)));
    m.setEpoch(1);
    auto maps = m.initMappings(1 + bytes_.take<uint8_t>() % 8);
    uint64_t at = kProgram;
    for (auto x : maps) {
      const uint64_t lo = odd(at), bytes = om::kPageSize * (1 + bytes_.take<uint8_t>());
      x.setLo(lo);
      x.setHi(odd(lo + bytes));
      x.setProt(3);
      x.setKind(static_cast<wire::Mapping::Kind>(odd(bytes_.take<uint8_t>() % 3)));
      at += bytes;
    }
    auto threads = m.initThreads(wild() ? 3000 : 1 + bytes_.take<uint8_t>() % 4);
    uint32_t slot = 0;
    for (auto t : threads) {
      om::ThreadState s{};
      s.slot = static_cast<uint32_t>(odd(slot++));
      s.kind = static_cast<uint32_t>(odd(om::kThreadUser));
      s.kernel.fs_base = odd(0);
      t.setState(kj::arrayPtr(reinterpret_cast<const kj::byte*>(&s), wild() ? 8 : sizeof s));
      auto area = t.initXsave(wild() ? 0 : 576);
      if (area.size() != 0) area[0] = bytes_.take<uint8_t>();
    }
    auto xstate = m.initXstate();
    xstate.setSize(static_cast<uint32_t>(odd(576)));
    xstate.setMxcsrMask(0xffff);
    xstate.setXcr0(odd(3));
    auto offsets = xstate.initOffsets(om::kXstateComponents);
    auto sizes = xstate.initSizes(om::kXstateComponents);
    offsets.set(2, static_cast<uint32_t>(odd(0)));
    sizes.set(2, static_cast<uint32_t>(odd(0)));
    auto process = m.initProcess();
    process.initIds(wild() ? 3 : 8);
    process.initUts(wild() ? 3 : sizeof(om::BodyState::uts));
    process.setBrkNow(odd(kProgram));
    auto marks = m.initMarks(wild() ? 5000 : bytes_.take<uint8_t>() % 4);
    for (auto mark : marks) {
      mark.setLo(odd(place()));
      mark.setHi(odd(mark.getLo() + om::kPageSize));
      mark.setKind(static_cast<wire::Mark::Kind>(odd(bytes_.take<uint8_t>() % 6)));
    }
    auto clocks = m.initClocks();
    clocks.setMonoNs(static_cast<int64_t>(odd(kSecond)));
    clocks.setRealNs(static_cast<int64_t>(odd(kSecond)));
    return q.send().ignoreResult();
  }

  kj::Promise<void> collect(wire::Body::Client& k) {
    auto q = k.collectRequest();
    auto ranges = q.initRanges(1 + bytes_.take<uint8_t>() % 4);
    uint64_t at = kProgram;
    for (auto r : ranges) {
      r.setLo(odd(at));
      at += om::kPageSize * (1 + bytes_.take<uint8_t>());
      r.setHi(odd(at));
      r.setFile(bytes_.take<uint8_t>() % 2 == 1);
    }
    return q.send().ignoreResult();
  }

  kj::Promise<void> pin(wire::Body::Client& k) {
    auto q = k.pinRequest();
    q.setChange(static_cast<uint32_t>(odd(1)));
    auto threads = q.initThreads(wild() ? 3000 : 1 + bytes_.take<uint8_t>() % 4);
    uint32_t slot = 0;
    for (auto t : threads) {
      t.setSlot(static_cast<uint32_t>(odd(slot++)));
      auto mask = t.initMask(wild() ? 3000 : bytes_.take<uint8_t>() % 4);
      for (unsigned i = 0; i < mask.size(); ++i) mask.set(i, odd(1));
    }
    return q.send().ignoreResult();
  }

  // Sends frames, and now and then the end mark that belongs there.
  kj::Promise<void> pages() {
    if (bulk_.get() == nullptr) return kj::READY_NOW;
    kj::Vector<kj::byte> out;
    const unsigned frames = bytes_.take<uint8_t>() % 8;
    for (unsigned i = 0; i < frames; ++i) {
      om::BulkHeader h{};
      h.kind = static_cast<uint32_t>(odd(om::kBulkData));
      h.bytes = static_cast<uint32_t>(odd(om::kPageSize * (1 + bytes_.take<uint8_t>() % 64)));
      h.address = odd(place());
      out.addAll(kj::arrayPtr(reinterpret_cast<const kj::byte*>(&h), sizeof h));
      if (h.kind != om::kBulkData || h.bytes > om::kBulkMaxBytes) continue;
      for (uint32_t n = 0; n < h.bytes; ++n) out.add(1);
      sent_pages_ += h.bytes / om::kPageSize;
    }
    const om::BulkHeader end{static_cast<uint32_t>(odd(om::kBulkEnd)), 0, frames};
    out.addAll(kj::arrayPtr(reinterpret_cast<const kj::byte*>(&end), sizeof end));
    auto data = out.releaseAsArray();
    auto written = bulk_->write(data.begin(), data.size());
    return written.attach(kj::mv(data));
  }

  World& world_;
  Bytes& bytes_;
  kj::Own<kj::AsyncIoStream> stream_, bulk_;
  kj::Vector<kj::Own<kj::AsyncIoStream>> old_;
  kj::Own<capnp::TwoPartyClient> client_;
  kj::Maybe<wire::Keeper::Client> keeper_;
  kj::Maybe<wire::Body::Client> body_;
  kj::Vector<kj::Promise<void>> unanswered_;
  kj::Promise<void> talking_ = nullptr, reading_ = nullptr;
  kj::byte sink_[4096];
  uint64_t sent_pages_ = 0;
  int sessions_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const bool once = [] {
    ::setenv("OM_LOG", "error", 1);
    om::log_init("keeper_session");
    kj::UnixEventPort::setReservedSignal(SIGUSR2);
    kj::UnixEventPort::captureSignal(SIGUSR1);
    return true;
  }();
  (void)once;
  static kj::UnixEventPort unused;
  Bytes bytes(data, size);
  World world;
  kj::AsyncIoContext io{kj::Own<kj::LowLevelAsyncIoProvider>(),
                        kj::heap<om::fuzz::Provider>(world.time.timer), world.scope, unused};
  om::guest::KeeperOptions options{};
  options.guest.offered = uint64_t{bytes.take<uint8_t>()} << 24;
  const uint8_t body = bytes.take<uint8_t>();
  world.result = body == 0xff ? -ENOMEM : body == 0xfe ? -EEXIST : 0;
  Home home(world, bytes);
  world.connect = [&](om::PreambleKind kind) { return home.connected(kind); };
  {
    om::guest::Keeper keeper(io, options);
    keeper.run();
  }
  const uint64_t growth = std::max<uint64_t>(options.guest.offered / 4, 256 << 20);
  require(world.pages.size() * om::kPageSize <=
          options.guest.offered + growth + kImageBytes + om::arena_bytes(1024));
  // If it loses home while the guest runs, it searches for home until its patience ends.
  if (home.gone_ns != 0) require(world.time.now_ns() - home.gone_ns <= 65 * kSecond);
  return 0;
}
