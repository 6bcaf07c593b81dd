// SPDX-License-Identifier: Apache-2.0
//
// The level 0 codec (libom/safe/rpc_encode.h, rpc_parse.h) against libcapnp: golden bytes, round trips, any
// segmentation, other schema versions, truncation at every byte, random mutation. Messages under test end or start at
// an inaccessible page, so that a read outside crashes with and without a sanitizer. One file above the usual size,
// because all cases share the builders of the same messages.
#include <capnp/message.h>
#include <capnp/rpc.capnp.h>
#include <capnp/serialize.h>
#include <doctest/doctest.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "common/schema/executor.capnp.h"
#include "libom/safe/rpc_encode.h"
#include "libom/safe/rpc_parse.h"

namespace om::safe {
namespace {

namespace rpc = capnp::rpc;
using Words = std::vector<uint64_t>;
using Random = std::mt19937_64;

static_assert(kRpcAgain == -EAGAIN && kRpcBroken == -EPROTO && kRpcTooLarge == -EMSGSIZE &&
              kRpcRemote == -EREMOTEIO);

// A copy of bytes that ends at (or starts after) an inaccessible page.
class Guarded {
 public:
  Guarded(const void* from, size_t size, bool at_end) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t inner = (size + page) / page * page;
    length_ = inner + 2 * page;
    void* map = mmap(nullptr, length_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(map != MAP_FAILED);
    base_ = static_cast<uint8_t*>(map);
    REQUIRE(mprotect(base_ + page, inner, PROT_READ | PROT_WRITE) == 0);
    data_ = base_ + page + (at_end ? inner - size : 0);
    if (from != nullptr) memcpy(data_, from, size);
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  ~Guarded() { munmap(base_, length_); }
  uint8_t* data() const { return data_; }

 private:
  uint8_t* base_;
  uint8_t* data_;
  size_t length_;
};

Words flat(capnp::MessageBuilder& builder) {
  auto array = capnp::messageToFlatArray(builder);
  Words words(array.size());
  memcpy(words.data(), array.begin(), array.size() * 8);
  return words;
}

// An encoder's output and the payload that follows it.
Words joined(const void* head, long head_bytes, const std::string& payload = {}) {
  REQUIRE(head_bytes >= 0);
  const size_t size = static_cast<size_t>(head_bytes);
  REQUIRE((size + payload.size() + padding(payload.size())) % 8 == 0);
  Words words((size + payload.size() + padding(payload.size())) / 8);
  memcpy(words.data(), head, size);
  if (!payload.empty())
    memcpy(reinterpret_cast<char*>(words.data()) + size, payload.data(), payload.size());
  return words;
}

template <typename Check>
void with_libcapnp(const Words& words, Check check) {
  capnp::FlatArrayMessageReader reader(
      kj::arrayPtr(reinterpret_cast<const capnp::word*>(words.data()), words.size()));
  check(reader.getRoot<rpc::Message>());
}

long parse(const Words& words, RpcMessage* out) {
  return parse_message(words.data(), words.size() * 8, out);
}

std::string text(const Words& words, RpcBytes run) {
  const uint8_t* at = rpc_bytes(words.data(), words.size() * 8, run);
  REQUIRE(at != nullptr);
  return std::string(reinterpret_cast<const char*>(at), run.size);
}

std::string random_bytes(Random& random, size_t size) {
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  return bytes;
}

RpcCallHead random_call(Random& random) {
  RpcCallHead head{static_cast<uint32_t>(random()),
                   static_cast<uint32_t>(random()),
                   random() % 2 ? RpcTarget::kImportedCap : RpcTarget::kPromisedAnswer,
                   {}};
  ForwardParams& p = head.params;
  p.nr = static_cast<uint32_t>(random());
  p.flags = static_cast<uint32_t>(random());
  p.epoch = static_cast<uint32_t>(random());
  p.thread = static_cast<uint32_t>(random());
  p.sequence = random();
  p.ticket = random();
  for (uint64_t& a : p.a) a = random();
  return head;
}

ForwardResults random_results(Random& random, uint32_t signals) {
  return ForwardResults{static_cast<int64_t>(random()), static_cast<uint32_t>(random()), signals,
                        random(), random()};
}

Words our_call(const RpcCallHead& head, const std::string& ins) {
  uint8_t buffer[kCallMaxBytes];
  return joined(buffer, encode_call(buffer, sizeof buffer, head, ins.size()), ins);
}

Words our_return(uint32_t question, const ForwardResults& results, const std::string& signals,
                 const std::string& outs) {
  std::vector<uint8_t> buffer(kReturnBytes + signals.size() + 8, 0xa5);
  return joined(buffer.data(),
                encode_return(buffer.data(), buffer.size(), question, results, signals.data(),
                              signals.size(), outs.size()),
                outs);
}

capnp::Data::Reader data_of(const std::string& bytes) {
  return capnp::Data::Reader(reinterpret_cast<const kj::byte*>(bytes.data()), bytes.size());
}

std::string string_of(capnp::Data::Reader data) {
  return std::string(reinterpret_cast<const char*>(data.begin()), data.size());
}

// The same Call made by libcapnp, with objects allocated in the order of our template.
void their_call(rpc::Message::Builder message, const RpcCallHead& head, const std::string& ins) {
  auto call = message.initCall();
  call.setQuestionId(head.question);
  call.setInterfaceId(kExecutorInterface);
  call.setMethodId(kMethodForward);
  auto target = call.initTarget();
  if (head.target == RpcTarget::kPromisedAnswer) {
    target.initPromisedAnswer().setQuestionId(head.target_id);
  } else {
    target.setImportedCap(head.target_id);
  }
  auto params = call.initParams().getContent().initAs<Executor::ForwardParams>();
  const ForwardParams& p = head.params;
  params.setNr(p.nr);
  params.setFlags(p.flags);
  params.setEpoch(p.epoch);
  params.setThread(p.thread);
  params.setSequence(p.sequence);
  params.setTicket(p.ticket);
  params.setA0(p.a[0]);
  params.setA1(p.a[1]);
  params.setA2(p.a[2]);
  params.setA3(p.a[3]);
  params.setA4(p.a[4]);
  params.setA5(p.a[5]);
  if (!ins.empty()) params.setIns(data_of(ins));
}

void their_return(rpc::Message::Builder message, uint32_t question, const ForwardResults& results,
                  const std::string& signals, const std::string& outs) {
  auto answer = message.initReturn();
  answer.setAnswerId(question);
  auto content = answer.initResults().getContent().initAs<Executor::ForwardResults>();
  content.setResult(results.result);
  content.setFlags(results.flags);
  content.setSignalCount(results.signal_count);
  content.setSequence(results.sequence);
  content.setAux(results.aux);
  if (!signals.empty()) content.setSignals(data_of(signals));
  if (!outs.empty()) content.setOuts(data_of(outs));
}

void check_call(const Words& words, const RpcCallHead& head, const std::string& ins) {
  RpcMessage m;
  REQUIRE(parse(words, &m) == static_cast<long>(words.size() * 8));
  CHECK(m.kind == RpcKind::kCall);
  CHECK(m.id == head.question);
  CHECK(m.call.target == head.target);
  CHECK(m.call.target_id == head.target_id);
  CHECK(m.call.to_caller);
  CHECK(m.call.forward);
  CHECK(memcmp(&m.call.params, &head.params, sizeof(ForwardParams)) == 0);
  CHECK(text(words, m.call.ins) == ins);
}

void check_return(const Words& words, uint32_t question, const ForwardResults& results,
                  const std::string& signals, const std::string& outs) {
  RpcMessage m;
  REQUIRE(parse(words, &m) == static_cast<long>(words.size() * 8));
  CHECK(m.kind == RpcKind::kReturn);
  CHECK(m.id == question);
  CHECK(m.release_caps);
  CHECK(m.ret.answer == RpcAnswer::kResults);
  CHECK(m.ret.error == 0);
  CHECK(m.ret.cap == RpcCap::kNone);
  CHECK(memcmp(&m.ret.results, &results, sizeof(ForwardResults)) == 0);
  CHECK(text(words, m.ret.signals) == signals);
  CHECK(text(words, m.ret.outs) == outs);
}

std::string signal_records(Random& random, uint32_t count) {
  return random_bytes(random, count * sizeof(SignalRecord));
}

// One message of each kind, ours and theirs, in one segment and in many.
std::vector<Words> samples() {
  Random random(4711);
  std::vector<Words> all;
  uint8_t buffer[512];
  all.push_back(joined(buffer, encode_bootstrap(buffer, sizeof buffer, 7)));
  all.push_back(joined(buffer, encode_bootstrap_return(buffer, sizeof buffer, 7)));
  all.push_back(joined(buffer, encode_finish(buffer, sizeof buffer, 9, true)));
  all.push_back(joined(
      buffer, encode_return_exception(buffer, sizeof buffer, 9, RpcFault::kFailed, "no", 2)));
  for (size_t size : {0, 1, 8, 133}) {
    all.push_back(our_call(random_call(random), random_bytes(random, size)));
    const uint32_t count = static_cast<uint32_t>(size % 3);
    all.push_back(our_return(1, random_results(random, count), signal_records(random, count),
                             random_bytes(random, size)));
  }
  for (unsigned segment : {1, 3, 7, 1024}) {
    capnp::MallocMessageBuilder call(segment, capnp::AllocationStrategy::FIXED_SIZE);
    their_call(call.initRoot<rpc::Message>(), random_call(random), random_bytes(random, 77));
    all.push_back(flat(call));
    capnp::MallocMessageBuilder ret(segment, capnp::AllocationStrategy::FIXED_SIZE);
    their_return(ret.initRoot<rpc::Message>(), 3, random_results(random, 1),
                 signal_records(random, 1), "outs");
    all.push_back(flat(ret));
    capnp::MallocMessageBuilder boot(segment, capnp::AllocationStrategy::FIXED_SIZE);
    auto results = boot.initRoot<rpc::Message>().initReturn().initResults();
    results.initCapTable(1)[0].setSenderPromise(12);
    all.push_back(flat(boot));
    capnp::MallocMessageBuilder resolve(segment, capnp::AllocationStrategy::FIXED_SIZE);
    resolve.initRoot<rpc::Message>().initResolve().initCap().setSenderHosted(3);
    all.push_back(flat(resolve));
  }
  return all;
}

// Every run of bytes lies inside the message.
void check_runs(const RpcMessage& m, size_t length) {
  for (RpcBytes run : {m.call.ins, m.ret.signals, m.ret.outs, m.reason}) {
    REQUIRE(run.offset <= length);
    REQUIRE(run.size <= length - run.offset);
  }
}

bool same(const RpcMessage& a, const RpcMessage& b) {
  auto run = [](RpcBytes x, RpcBytes y) { return x.offset == y.offset && x.size == y.size; };
  return a.kind == b.kind && a.tag == b.tag && a.id == b.id && a.count == b.count &&
         a.release_caps == b.release_caps && a.fault == b.fault && run(a.reason, b.reason) &&
         a.call.forward == b.call.forward && a.call.to_caller == b.call.to_caller &&
         a.call.target == b.call.target && a.call.target_id == b.call.target_id &&
         a.call.interface_id == b.call.interface_id && a.call.method == b.call.method &&
         memcmp(&a.call.params, &b.call.params, sizeof(ForwardParams)) == 0 &&
         run(a.call.ins, b.call.ins) && a.ret.answer == b.ret.answer && a.ret.cap == b.ret.cap &&
         a.ret.cap_id == b.ret.cap_id &&
         memcmp(&a.ret.results, &b.ret.results, sizeof(ForwardResults)) == 0 &&
         run(a.ret.signals, b.ret.signals) && run(a.ret.outs, b.ret.outs);
}

}  // namespace

TEST_CASE("messages are byte for byte those of libcapnp") {
  uint8_t buffer[1024];
  memset(buffer, 0xa5, sizeof buffer);
  capnp::MallocMessageBuilder theirs(1024);
  auto message = theirs.initRoot<rpc::Message>();

  SUBCASE("bootstrap") {
    message.initBootstrap().setQuestionId(0x80000001);
    CHECK(joined(buffer, encode_bootstrap(buffer, sizeof buffer, 0x80000001)) == flat(theirs));
  }
  SUBCASE("bootstrap return") {
    auto answer = message.initReturn();
    answer.setAnswerId(5);
    auto payload = answer.initResults();
    payload.initCapTable(1)[0].setSenderHosted(0);
    Words words = flat(theirs);
    words[7] = 3;  // content: what only an RPC connection can write, a pointer to capability 0
    CHECK(joined(buffer, encode_bootstrap_return(buffer, sizeof buffer, 5)) == words);
  }
  SUBCASE("finish") {
    auto finish = message.initFinish();
    finish.setQuestionId(6);
    CHECK(joined(buffer, encode_finish(buffer, sizeof buffer, 6, true)) == flat(theirs));
    finish.setReleaseResultCaps(false);
    CHECK(joined(buffer, encode_finish(buffer, sizeof buffer, 6)) == flat(theirs));
  }
  SUBCASE("call") {
    Random random(1);
    for (size_t size : {0, 1, 7, 8, 9, 500}) {
      const RpcCallHead head = random_call(random);
      const std::string ins = random_bytes(random, size);
      capnp::MallocMessageBuilder builder(1024);
      their_call(builder.initRoot<rpc::Message>(), head, ins);
      CHECK(our_call(head, ins) == flat(builder));
    }
  }
  SUBCASE("return") {
    Random random(2);
    for (size_t size : {0, 1, 7, 8, 9, 500}) {
      const ForwardResults results = random_results(random, 0);
      const std::string signals = random_bytes(random, size * 3);  // not whole records: odd lengths
      const std::string outs = random_bytes(random, size);
      capnp::MallocMessageBuilder builder(1024);
      their_return(builder.initRoot<rpc::Message>(), 77, results, signals, outs);
      CHECK(our_return(77, results, signals, outs) == flat(builder));
    }
  }
  SUBCASE("exception") {
    for (std::string reason : {"", "1234567", "12345678", "no such method"}) {
      capnp::MallocMessageBuilder builder(1024);
      auto answer = builder.initRoot<rpc::Message>().initReturn();
      answer.setAnswerId(8);
      auto exception = answer.initException();
      exception.setReason(reason.c_str());
      exception.setType(rpc::Exception::Type::UNIMPLEMENTED);
      CHECK(
          joined(buffer, encode_return_exception(buffer, sizeof buffer, 8, RpcFault::kUnimplemented,
                                                 reason.data(), reason.size())) == flat(builder));
    }
  }
}

TEST_CASE("random calls and returns survive both parsers") {
  Random random(3);
  for (int round = 0; round < 500; round++) {
    const size_t size = round % 50 == 0 ? 200000 - random() % 8 : random() % 300;
    const RpcCallHead head = random_call(random);
    const std::string bytes = random_bytes(random, size);
    const Words call = our_call(head, bytes);
    check_call(call, head, bytes);
    with_libcapnp(call, [&](rpc::Message::Reader m) {
      auto params = m.getCall().getParams().getContent().getAs<Executor::ForwardParams>();
      CHECK(m.getCall().getQuestionId() == head.question);
      CHECK(params.getThread() == head.params.thread);
      CHECK(params.getTicket() == head.params.ticket);
      CHECK(params.getA5() == head.params.a[5]);
      CHECK(string_of(params.getIns()) == bytes);
    });

    const uint32_t count = static_cast<uint32_t>(random() % 4);
    const ForwardResults results = random_results(random, count);
    const std::string signals = signal_records(random, count);
    const Words ret = our_return(head.question, results, signals, bytes);
    check_return(ret, head.question, results, signals, bytes);
    with_libcapnp(ret, [&](rpc::Message::Reader m) {
      auto content = m.getReturn().getResults().getContent().getAs<Executor::ForwardResults>();
      CHECK(content.getResult() == results.result);
      CHECK(content.getAux() == results.aux);
      CHECK(string_of(content.getSignals()) == signals);
      CHECK(string_of(content.getOuts()) == bytes);
    });
  }
}

TEST_CASE("any segmentation of a stock builder is read") {
  Random random(5);
  int split = 0, double_far = 0;
  for (int round = 0; round < 600; round++) {
    const unsigned segment = 1 + static_cast<unsigned>(random() % 40);
    const RpcCallHead head = random_call(random);
    const std::string ins = random_bytes(random, random() % 200);
    capnp::MallocMessageBuilder call(segment, capnp::AllocationStrategy::FIXED_SIZE);
    their_call(call.initRoot<rpc::Message>(), head, ins);
    check_call(flat(call), head, ins);
    split += call.getSegmentsForOutput().size() > 1;

    const uint32_t count = static_cast<uint32_t>(random() % 3);
    const ForwardResults results = random_results(random, count);
    const std::string signals = signal_records(random, count);
    capnp::MallocMessageBuilder ret(segment, capnp::AllocationStrategy::FIXED_SIZE);
    their_return(ret.initRoot<rpc::Message>(), 4, results, signals, ins);
    check_return(flat(ret), 4, results, signals, ins);

    // A double far pointer leads to an orphan whose segment has no room for a landing word.
    capnp::MallocMessageBuilder adopted(segment, capnp::AllocationStrategy::FIXED_SIZE);
    auto orphan = adopted.getOrphanage().newOrphanCopy(data_of(std::string(64, '\0')));
    auto answer = adopted.initRoot<rpc::Message>().initReturn();
    auto content = answer.initResults().getContent().initAs<Executor::ForwardResults>();
    content.adoptOuts(kj::mv(orphan));
    const Words words = flat(adopted);
    check_return(words, 0, ForwardResults{}, "", std::string(64, '\0'));
    for (size_t i = static_cast<uint32_t>(words[0]) / 2 + 1; i < words.size(); i++)
      double_far += (words[i] & 7) == 6;
  }
  CHECK(split > 100);
  CHECK(double_far > 100);
}

TEST_CASE("the messages of a level 1 peer are recognised") {
  capnp::MallocMessageBuilder builder(1024);
  auto message = builder.initRoot<rpc::Message>();
  RpcMessage m;

  SUBCASE("release") {
    auto release = message.initRelease();
    release.setId(3);
    release.setReferenceCount(4);
    REQUIRE(parse(flat(builder), &m) > 0);
    CHECK(m.kind == RpcKind::kRelease);
    CHECK(m.id == 3);
    CHECK(m.count == 4);
  }
  SUBCASE("finish and its inverted default") {
    auto finish = message.initFinish();
    finish.setQuestionId(3);
    REQUIRE(parse(flat(builder), &m) > 0);
    CHECK(m.kind == RpcKind::kFinish);
    CHECK(m.release_caps);
    finish.setReleaseResultCaps(false);
    REQUIRE(parse(flat(builder), &m) > 0);
    CHECK_FALSE(m.release_caps);
  }
  SUBCASE("abort") {
    auto abort = message.initAbort();
    abort.setReason("gone");
    abort.setType(rpc::Exception::Type::DISCONNECTED);
    const Words words = flat(builder);
    REQUIRE(parse(words, &m) > 0);
    CHECK(m.kind == RpcKind::kAbort);
    CHECK(m.fault == RpcFault::kDisconnected);
    CHECK(text(words, m.reason) == "gone");
  }
  SUBCASE("answers that are not results are EREMOTEIO") {
    auto answer = message.initReturn();
    answer.setAnswerId(11);
    answer.setReleaseParamCaps(false);
    answer.initException().setReason("because");
    Words words = flat(builder);
    REQUIRE(parse(words, &m) > 0);
    CHECK(m.ret.answer == RpcAnswer::kException);
    CHECK(m.ret.error == -EREMOTEIO);
    CHECK_FALSE(m.release_caps);
    CHECK(text(words, m.reason) == "because");
    answer.setCanceled();
    REQUIRE(parse(flat(builder), &m) > 0);
    CHECK(m.ret.answer == RpcAnswer::kCanceled);
    CHECK(m.ret.error == -EREMOTEIO);
    answer.setTakeFromOtherQuestion(1);
    REQUIRE(parse(flat(builder), &m) > 0);
    CHECK(m.ret.answer == RpcAnswer::kTakeFromOther);
  }
  SUBCASE("capabilities of a bootstrap return") {
    auto payload = message.initReturn().initResults();
    auto table = payload.initCapTable(3);
    table[0].setSenderHosted(40);
    table[1].setSenderPromise(41);
    table[2].setReceiverHosted(42);
    Words words = flat(builder);
    const RpcCap kinds[] = {RpcCap::kSenderHosted, RpcCap::kSenderPromise, RpcCap::kNone,
                            RpcCap::kNone};
    const uint32_t ids[] = {40, 41, 0, 0};  // the fourth is not in the table
    for (uint64_t i = 0; i < 4; i++) {
      words[7] = 3 | i << 32;
      REQUIRE(parse(words, &m) > 0);
      CHECK(m.ret.answer == RpcAnswer::kResults);
      CHECK(m.ret.cap == kinds[i]);
      CHECK(m.ret.cap_id == ids[i]);
    }
  }
  SUBCASE("calls of other interfaces, targets and result places") {
    auto call = message.initCall();
    call.setInterfaceId(0x1234);
    call.setMethodId(5);
    auto promised = call.initTarget().initPromisedAnswer();
    promised.setQuestionId(2);
    promised.initTransform(0);
    call.initParams().getContent().setAs<capnp::Text>("not a struct");
    call.getSendResultsTo().setYourself();
    REQUIRE(parse(flat(builder), &m) > 0);
    CHECK_FALSE(m.call.forward);
    CHECK_FALSE(m.call.to_caller);
    CHECK(m.call.interface_id == 0x1234);
    CHECK(m.call.method == 5);
    CHECK(m.call.target == RpcTarget::kPromisedAnswer);
    promised.initTransform(1)[0].setGetPointerField(0);
    REQUIRE(parse(flat(builder), &m) > 0);
    CHECK(m.call.target == RpcTarget::kOther);
    call.setInterfaceId(kExecutorInterface);
    call.setMethodId(kMethodForward);
    CHECK(parse(flat(builder), &m) == kRpcBroken);
  }
  SUBCASE("kinds beyond level 0") {
    message.initDisembargo().getContext().setSenderLoopback(1);
    REQUIRE(parse(flat(builder), &m) > 0);
    CHECK(m.kind == RpcKind::kDisembargo);
    message.initObsoleteSave().setAs<capnp::Text>("anything");
    REQUIRE(parse(flat(builder), &m) > 0);
    CHECK(m.kind == RpcKind::kOther);
    CHECK(m.tag == 7);
  }
}

TEST_CASE("unimplemented echoes a message") {
  uint8_t buffer[256];
  capnp::MallocMessageBuilder builder(1024), split(1, capnp::AllocationStrategy::FIXED_SIZE);
  auto fill = [](rpc::Message::Builder message) {
    auto resolve = message.initResolve();
    resolve.setPromiseId(21);
    resolve.initCap().setSenderHosted(22);
  };
  fill(builder.initRoot<rpc::Message>());
  fill(split.initRoot<rpc::Message>());
  auto echo = [&](const Words& words, size_t available, size_t room) {
    return joined(buffer, encode_unimplemented(buffer, room, words.data(), available, 5));
  };
  const Words whole = flat(builder), parts = flat(split);

  with_libcapnp(echo(whole, whole.size() * 8, sizeof buffer), [](rpc::Message::Reader m) {
    REQUIRE(m.isUnimplemented());
    REQUIRE(m.getUnimplemented().isResolve());
    CHECK(m.getUnimplemented().getResolve().getPromiseId() == 21);
    CHECK(m.getUnimplemented().getResolve().getCap().getSenderHosted() == 22);
  });
  Words far = whole;  // root behind a far pointer: absolute, so it cannot be moved
  far.push_back(far[1] | ((whole.size() - 1) * ~uint64_t{3} & 0xffffffff));
  far[0] += 1ull << 32;
  far[1] = 2 | (whole.size() - 1) << 3;
  RpcMessage parsed;
  REQUIRE(parse(far, &parsed) > 0);
  REQUIRE(parsed.kind == RpcKind::kResolve);

  for (const Words& words :
       {echo(parts, parts.size() * 8, sizeof buffer), echo(far, far.size() * 8, sizeof buffer),
        echo(whole, whole.size() * 8 - 1, sizeof buffer),
        echo(whole, whole.size() * 8, whole.size() * 8 + 15), echo(whole, 3, 48)}) {
    with_libcapnp(words, [](rpc::Message::Reader m) {
      REQUIRE(m.isUnimplemented());
      CHECK(m.getUnimplemented().isResolve());
      CHECK_FALSE(m.getUnimplemented().getResolve().hasCap());
    });
  }
}

TEST_CASE("structs of other schema versions") {
  // A Call whose params have `data` words (10, 20, ...) and `pointers` pointers; ins is the first
  // of them.
  auto call = [](uint64_t data, uint64_t pointers) {
    Words w = {0, 1ull << 48 | 1ull << 32, 2, 3ull << 48 | 3ull << 32};  // table, root, Message
    const Words body = {1,
                        kExecutorInterface,
                        0,
                        2 << 2 | 1ull << 32 | 1ull << 48,  // Call
                        3 << 2 | 2ull << 48,
                        0,
                        9,
                        0,  // target
                        1 << 2 | data << 32 | pointers << 48,
                        0};  // Payload
    w.insert(w.end(), body.begin(), body.end());
    for (uint64_t i = 1; i <= data; i++) w.push_back(i * 10);
    for (uint64_t i = 0; i < pointers; i++) {
      w.push_back(i == 0 ? (pointers - 1) << 2 | 1 | 2ull << 32 | 3ull << 35 : 0);
    }
    if (pointers > 0) w.push_back(0x636261);
    w[0] = (w.size() - 1) << 32;
    return w;
  };
  RpcMessage m;
  SUBCASE("smaller: what is missing is zero") {
    for (uint64_t words = 0; words < 10; words++) {
      const Words older = call(words, 0);
      REQUIRE(parse(older, &m) > 0);
      uint64_t got[10];
      memcpy(got, &m.call.params, sizeof got);
      for (uint64_t i = 0; i < 10; i++) CHECK(got[i] == (i < words ? (i + 1) * 10 : 0));
      CHECK(m.call.ins.size == 0);
    }
  }
  SUBCASE("larger: what is unknown is ignored") {
    const Words newer = call(14, 3);
    REQUIRE(parse(newer, &m) > 0);
    CHECK(m.call.params.nr == 10);
    CHECK(m.call.params.a[5] == 100);
    CHECK(text(newer, m.call.ins) == "abc");
  }
}

TEST_CASE("malformed messages are refused") {
  Random random(6);
  const RpcCallHead head = random_call(random);
  const Words good = our_call(head, "payload");
  const size_t root = 1, body = 3, params = 8, target = 7, last = good.size() - 2;
  RpcMessage m;
  auto broken = [&](size_t index, uint64_t word) {
    Words words = good;
    words[index] = word;
    CHECK(parse(words, &m) == kRpcBroken);
  };
  REQUIRE(parse(good, &m) > 0);
  REQUIRE((good[last] & 3) == 1);
  broken(root, good[root] | 3);             // a capability as root
  broken(root, good[root] + (1ull << 40));  // 256 more data words
  broken(root, good[root] + (1ull << 60));  // pointers behind the end
  broken(root, 0xfffffff0 | 1ull << 32);    // before the segment
  broken(root, 2 | 1ull << 32);             // far, no such segment
  broken(root, 2 | (good.size() << 3));     // far, behind the end
  broken(root, 2);                          // far to itself
  broken(root, 6 | (last << 3));            // double far at the end
  broken(root, 2 | 0xfffffff8);             // far, largest offset
  broken(body, 1 | 2ull << 32);             // a list instead of a struct
  broken(target, 0x7ffffffc | 1ull << 32);  // largest offset
  broken(params, 0xfffffffe);
  broken(last, (good[last] & ~(7ull << 32)) | 3ull << 32);  // elements of 16 bits
  broken(last, (good[last] & ~(7ull << 32)) | 7ull << 32);  // composite
  broken(last, good[last] + (2ull << 35));                  // 9 bytes, 8 are there
  broken(last, good[last] | 0xffffffffull << 35);           // 2^29 - 1 bytes
  Words extended = good;                                    // one byte more is padding
  extended[last] += 1ull << 35;
  CHECK(parse(extended, &m) > 0);

  Words ret = our_return(1, random_results(random, 2), signal_records(random, 2), "x");
  CHECK(parse(ret, &m) > 0);
  ret[10] += 1ull << 32;  // a third record that is not there
  CHECK(parse(ret, &m) == kRpcBroken);

  // A double far pointer needs a far pointer and a description as its landing words.
  Words far = good;
  far[root] = 6 | (good.size() - 1) << 3;
  far.push_back(2 | 1 << 3);
  far.push_back(good[root]);
  far[0] += 2ull << 32;
  CHECK(parse(far, &m) > 0);
  far[good.size()] = 6 | 1 << 3;
  CHECK(parse(far, &m) == kRpcBroken);

  uint8_t buffer[kBootstrapReturnBytes];
  const Words boot = joined(buffer, encode_bootstrap_return(buffer, sizeof buffer, 1));
  auto broken_boot = [&](size_t index, uint64_t word) {
    Words words = boot;
    words[index] = word;
    CHECK(parse(words, &m) == kRpcBroken);
  };
  CHECK(parse(boot, &m) > 0);
  broken_boot(7, 7);                                     // neither a capability nor anything known
  broken_boot(8, 1 | 7ull << 32 | 3ull << 35);           // the table is a word too long
  broken_boot(8, 1 | 5ull << 32 | 2ull << 35);           // a list of 64-bit numbers
  broken_boot(9, 2 << 2 | 1ull << 32 | 1ull << 48);      // two elements in the space of one
  broken_boot(9, 1 << 2 | 1 | 1ull << 32 | 1ull << 48);  // its tag is a list pointer

  Words bounded = good;  // another segment after the payload does not extend the payload's
  bounded.insert(bounded.begin(), 1 | (good.size() - 2) << 32);
  bounded[1] = 1;
  REQUIRE(parse(bounded, &m) == kRpcBroken);
}

TEST_CASE("frame lengths and their limits") {
  auto length = [](std::initializer_list<uint32_t> table) {
    std::vector<uint32_t> halves(table);
    return frame_length(halves.data(), halves.size() * 4);
  };
  CHECK(length({}) == kRpcAgain);
  CHECK(length({0}) == kRpcAgain);
  CHECK(length({0, 0}) == 8);
  CHECK(length({0, 5}) == 48);
  CHECK(length({1, 5}) == kRpcAgain);
  CHECK(length({1, 5, 6}) == 16 + 88);
  CHECK(length({2, 5, 6, 7}) == 16 + 144);
  CHECK(length({15, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}) == 72 + 128);
  CHECK(length({16}) == kRpcBroken);
  CHECK(length({0xffffffff}) == kRpcBroken);
  CHECK(length({0, kMaxCallBytes / 8 - 1}) == kMaxCallBytes);
  CHECK(length({0, kMaxCallBytes / 8}) == kRpcTooLarge);
  CHECK(length({1, 0xffffffff, 0xffffffff}) == kRpcTooLarge);
  RpcMessage m;
  const uint64_t empty = 0;
  CHECK(parse_message(&empty, 8, &m) == kRpcBroken);
}

TEST_CASE("encoders respect the room and the largest message") {
  Random random(7);
  const RpcCallHead head{1, 2, RpcTarget::kPromisedAnswer, {}};
  const std::string signals = signal_records(random, 1);
  const uint64_t echoed[] = {1ull << 32, 0};
  auto each_room = [](auto encode) {
    const long needed = encode(Guarded(nullptr, 4096, true).data(), size_t{4096});
    REQUIRE(needed > 0);
    for (long room = 0; room <= needed; room++) {
      Guarded buffer(nullptr, static_cast<size_t>(room), true);
      CHECK(encode(buffer.data(), static_cast<size_t>(room)) ==
            (room == needed ? needed : kRpcTooLarge));
    }
  };
  each_room([](void* to, size_t room) { return encode_bootstrap(to, room, 1); });
  each_room([&](void* to, size_t room) { return encode_call(to, room, head, 5000); });
  each_room([](void* to, size_t room) { return encode_finish(to, room, 1); });
  each_room([&](void* to, size_t room) {
    return encode_return(to, room, 1, ForwardResults{}, signals.data(), signals.size(), 5000);
  });
  each_room([](void* to, size_t room) { return encode_bootstrap_return(to, room, 1); });
  each_room([](void* to, size_t room) {
    return encode_return_exception(to, room, 1, RpcFault::kFailed, "12345678", 8);
  });
  each_room([&](void* to, size_t room) { return encode_unimplemented(to, room, echoed, 12, 0); });

  uint8_t buffer[512];
  CHECK(encode_call(buffer, sizeof buffer, head, kMaxCallBytes - kCallMaxBytes) > 0);
  CHECK(frame_length(buffer, sizeof buffer) == kMaxCallBytes);
  CHECK(encode_call(buffer, sizeof buffer, head, kMaxCallBytes - kCallMaxBytes + 1) ==
        kRpcTooLarge);
  CHECK(encode_call(buffer, sizeof buffer, head, SIZE_MAX) == kRpcTooLarge);
  const ForwardResults none{};
  CHECK(encode_return(buffer, sizeof buffer, 1, none, nullptr, 0, kMaxCallBytes - kReturnBytes) >
        0);
  CHECK(encode_return(buffer, sizeof buffer, 1, none, nullptr, 0, kMaxCallBytes) == kRpcTooLarge);
  CHECK(encode_return(buffer, sizeof buffer, 1, none, nullptr, SIZE_MAX, 0) == kRpcTooLarge);
  CHECK(encode_return_exception(buffer, sizeof buffer, 1, RpcFault::kFailed, "", SIZE_MAX) ==
        kRpcTooLarge);
}

TEST_CASE("the first 512 bytes tell where a large payload lies") {
  Random random(8);
  RpcMessage m;
  const std::string big = random_bytes(random, 200001);
  for (RpcTarget target : {RpcTarget::kImportedCap, RpcTarget::kPromisedAnswer}) {
    RpcCallHead head = random_call(random);
    head.target = target;
    const Words call = our_call(head, big);
    Guarded prefix(call.data(), kParsePrefixBytes, true);
    CHECK(parse_message(prefix.data(), kParsePrefixBytes, &m) ==
          static_cast<long>(call.size() * 8));
    CHECK(m.call.params.a[5] == head.params.a[5]);
    CHECK(m.call.ins.offset == (target == RpcTarget::kImportedCap ? kCallBytes : kCallMaxBytes));
    CHECK(m.call.ins.size == big.size());
    CHECK(rpc_bytes(prefix.data(), kParsePrefixBytes, m.call.ins) == nullptr);
  }
  const std::string signals = signal_records(random, 64);
  const Words ret = our_return(1, random_results(random, 64), signals, big);
  Guarded prefix(ret.data(), kParsePrefixBytes, true);
  CHECK(parse_message(prefix.data(), kParsePrefixBytes, &m) == static_cast<long>(ret.size() * 8));
  CHECK(m.ret.signals.offset == kReturnBytes);
  CHECK(m.ret.outs.offset == kReturnBytes + signals.size());
  CHECK(m.ret.outs.size == big.size());
}

TEST_CASE("truncation at every byte: more is asked for, or the answer is that of the whole") {
  for (const Words& words : samples()) {
    const long length = static_cast<long>(words.size() * 8);
    RpcMessage whole;
    REQUIRE(parse(words, &whole) == length);
    for (long size = 0; size <= length; size++) {
      Guarded part(words.data(), static_cast<size_t>(size), true);
      RpcMessage m;
      const long frame = frame_length(part.data(), static_cast<size_t>(size));
      REQUIRE((frame == kRpcAgain || frame == length));
      const long parsed = parse_message(part.data(), static_cast<size_t>(size), &m);
      REQUIRE((parsed == kRpcAgain || parsed == length));
      if (parsed == length) CHECK(same(m, whole));
      if (size == length) CHECK(parsed == length);
    }
  }
}

TEST_CASE("mutated messages are read inside their bytes only") {
  Random random(9);
  long broken = 0, again = 0, fine = 0;
  for (const Words& words : samples()) {
    const size_t size = words.size() * 8;
    for (bool at_end : {true, false}) {
      Guarded copy(words.data(), size, at_end);
      for (int round = 0; round < 4000; round++) {
        memcpy(copy.data(), words.data(), size);
        for (uint64_t n = 1 + random() % 4; n > 0; n--) {
          if (random() % 2) {
            copy.data()[random() % size] = static_cast<uint8_t>(random());
          } else {  // a word that points somewhere: struct, list, far or double far
            const uint64_t shape[] = {0, 1 | 2ull << 32, 2, 6, 1 | 7ull << 32, 3};
            const uint64_t word =
                shape[random() % 6] | (random() % (2 * words.size())) << 3 | random() % 8 << 32;
            memcpy(copy.data() + random() % words.size() * 8, &word, 8);
          }
        }
        RpcMessage m;
        const long parsed = parse_message(copy.data(), size, &m);
        broken += parsed == kRpcBroken;
        again += parsed == kRpcAgain;
        if (parsed <= 0) continue;
        fine++;
        check_runs(m, static_cast<size_t>(parsed));
        uint8_t buffer[256];
        CHECK(encode_unimplemented(buffer, sizeof buffer, copy.data(), size, m.tag) > 0);
      }
    }
  }
  CHECK(broken > 1000);
  CHECK(again > 1000);
  CHECK(fine > 1000);
}

}  // namespace om::safe
