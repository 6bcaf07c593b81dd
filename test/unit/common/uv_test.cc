// SPDX-License-Identifier: Apache-2.0
//
// common/uv/loop.h, common/uv/json_stream.h and common/uv/uvkj.h on a real loop.
#include <capnp/rpc-twoparty.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/net/answer_first.h"
#include "common/uv/child.h"
#include "common/uv/json_stream.h"
#include "common/uv/loop.h"
#include "common/uv/uvkj.h"

namespace om {
namespace {

std::array<UniqueFd, 2> socket_pair() {
  std::array<int, 2> pair{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) == 0);
  return {UniqueFd(pair[0]), UniqueFd(pair[1])};
}

std::string read_all(int fd) {
  std::string text;
  std::array<char, 4096> buffer;
  for (ssize_t n; (n = ::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT)) > 0;) {
    text.append(buffer.data(), static_cast<size_t>(n));
  }
  return text;
}

struct Client {
  std::vector<Json> lines;
  bool ended = false;
  std::optional<Error> error;

  JsonStream::Handlers handlers() {
    JsonStream::Handlers result;
    result.on_line = [this](const Json& line) { lines.push_back(line); };
    result.on_end = [this](std::optional<Error> given) {
      ended = true;
      error = std::move(given);
    };
    return result;
  }
};

void write_text(int fd, std::string_view text) {
  REQUIRE(::send(fd, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
}

TEST_CASE("a timer may destroy itself in its own callback") {
  Loop loop;
  auto timer = std::make_unique<Timer>(loop);
  int fired = 0;
  timer->start(Milliseconds(1), [&] {
    ++fired;
    timer.reset();
  });
  loop.run();
  CHECK(fired == 1);
}

TEST_CASE("work in the pool comes back to the loop") {
  Loop loop;
  int value = 0;
  run_in_pool(
      loop, [&] { value = 1; }, [&] { value *= 7; });
  loop.run();
  CHECK(value == 7);
}

TEST_CASE("a child gets its descriptors and its environment, and is reaped") {
  Loop loop;
  std::array<UniqueFd, 2> pair = socket_pair();
  ChildSpec spec;
  spec.program = "/bin/sh";
  spec.arguments = {"-c", "echo $GREETING $$ $(ps -o sid= -p $$) >&3; exit 7"};
  spec.environment = {"GREETING=hello", "PATH=/usr/bin:/bin"};
  spec.descriptors = {-1, 2, 2, pair[1].get()};
  int64_t status = -1;
  pid_t pid = 0;
  Child child(
      loop, spec, [&](Result<pid_t> started) { pid = started ? *started : -1; },
      [&](int64_t code, int signal) { status = code + signal * 1000; });
  CHECK(pid == 0);  // no pid: it does not wait for exec
  loop.run();
  REQUIRE(pid > 0);
  CHECK(status == 7);
  std::string said = read_all(pair[0].get());
  CHECK(said ==
        "hello " + std::to_string(pid) + " " + std::to_string(pid) + "\n");  // leads its session
  CHECK(::kill(pid, 0) != 0);
}

TEST_CASE("a program that is not there is an error") {
  Loop loop;
  ChildSpec spec;
  spec.program = "/nowhere/om-deputy";
  int error = 0;
  bool exited = false;
  Child child(
      loop, spec, [&](Result<pid_t> started) { error = started ? 0 : started.error().err; },
      [&](int64_t, int) { exited = true; });
  loop.run();
  CHECK(error == ENOENT);
  CHECK_FALSE(exited);
}

TEST_CASE("a child that nobody waits for any more runs, and the loop does not wait for it") {
  Loop loop;
  auto pair = socket_pair();
  ChildSpec spec;
  spec.program = "/bin/sh";
  spec.arguments = {"-c", "echo $$ >&3; exec 3>&-; read line <&4"};
  auto lasts = socket_pair();  // until the other end is closed
  spec.descriptors = {-1, 2, 2, pair[1].get(), lasts[1].get()};
  spec.held = {std::make_shared<UniqueFd>(std::move(pair[1]))};
  bool called = false;
  {
    Child child(
        loop, spec, [&](Result<pid_t>) { called = true; }, [&](int64_t, int) { called = true; });
  }
  spec.held.clear();
  loop.run();
  CHECK_FALSE(called);
  // The peer has closed: our own copy of the descriptor is closed too.
  pollfd end{pair[0].get(), POLLRDHUP, 0};
  REQUIRE(::poll(&end, 1, 20000) == 1);
  const pid_t pid = std::stoi(read_all(pair[0].get()));
  CHECK(::kill(pid, 0) == 0);
  ::kill(pid, SIGKILL);
  CHECK(::waitpid(pid, nullptr, 0) == pid);
}

TEST_CASE("a descriptor that cannot be watched is an error for who waits, not the end") {
  Loop loop;
  UniqueFd file(::open("/proc/self/status", O_RDONLY | O_CLOEXEC));  // epoll takes no files
  Poller poller(loop, file.get());
  CHECK(poller.error() != 0);
  int status = 0;
  poller.start(0, [&](int error, int) {
    status = error;
    poller.stop();
  });
  loop.run();
  CHECK(status == 0);
  poller.change(UV_READABLE);
  loop.run();
  CHECK(status == poller.error());
}

TEST_CASE("many children at once end with their own status") {
  Loop loop;
  std::vector<std::unique_ptr<Child>> children;
  int sum = 0;
  for (int i = 0; i < 40; ++i) {
    ChildSpec spec;
    spec.program = "/bin/sh";
    spec.arguments = {"-c", i % 4 == 0 ? "kill -9 $$" : "exit 3"};
    spec.descriptors = {-1, 2, 2};
    children.push_back(std::make_unique<Child>(
        loop, spec, [](Result<pid_t> started) { CHECK(started.ok()); },
        [&sum](int64_t code, int signal) { sum += static_cast<int>(code) + 100 * signal; }));
  }
  loop.run();
  CHECK(sum == 30 * 3 + 10 * 900);
}

TEST_CASE("JSON lines arrive in order, the end after them") {
  Loop loop;
  auto pair = socket_pair();
  Client client;
  JsonStream stream(loop, std::move(pair[0]), client.handlers(), {});
  write_text(pair[1].get(), "{\"n\":1}\n{\"n\":2}\n{\"n\"");
  write_text(pair[1].get(), ":3}\n");
  ::shutdown(pair[1].get(), SHUT_WR);
  while (!client.ended) loop.run_once();
  REQUIRE(client.lines.size() == 3);
  CHECK(client.lines[2]["n"] == 3);
  CHECK_FALSE(client.error);
  // The other direction is still open.
  stream.send({{"answer", 42}});
  while (!stream.drained()) loop.run_once();
  CHECK(read_all(pair[1].get()) == "{\"answer\":42}\n");
}

TEST_CASE("a line that is no JSON ends the input with an error, an answer still leaves") {
  for (const std::string& mistake :
       {std::string("nonsense\n"), std::string("[1]\n"), std::string(100, 'x')}) {
    CAPTURE(mistake);
    Loop loop;
    auto pair = socket_pair();
    Client client;
    JsonStream::Limits limits;
    limits.line_bytes = 64;
    JsonStream stream(loop, std::move(pair[0]), client.handlers(), limits);
    write_text(pair[1].get(), mistake);
    while (!client.ended) loop.run_once();
    REQUIRE(client.error);
    CHECK(client.error->err == 0);
    CHECK(client.lines.empty());
    stream.send({{"ok", false}});
    while (!stream.drained()) loop.run_once();
    CHECK(read_all(pair[1].get()) == "{\"ok\":false}\n");
  }
}

TEST_CASE("a peer that takes nothing is cut off") {
  Loop loop;
  auto pair = socket_pair();
  Client client;
  JsonStream::Limits limits;
  limits.queue_bytes = 1 << 20;
  JsonStream stream(loop, std::move(pair[0]), client.handlers(), limits);
  Json block{{"text", std::string(100000, 'x')}};
  for (int i = 0; i < 20; ++i) stream.send(block);
  while (!client.ended) loop.run_once();
  CHECK(stream.drained());
}

TEST_CASE("a handler may destroy its stream") {
  Loop loop;
  auto pair = socket_pair();
  std::unique_ptr<JsonStream> stream;
  JsonStream::Handlers handlers;
  int lines = 0;
  handlers.on_line = [&](const Json&) {
    ++lines;
    stream->send({{"bye", true}});
    stream.reset();
  };
  handlers.on_end = [](std::optional<Error>) {};
  stream = std::make_unique<JsonStream>(loop, std::move(pair[0]), std::move(handlers),
                                        JsonStream::Limits{});
  write_text(pair[1].get(), "{}\n{}\n");
  loop.run();
  CHECK(lines == 1);
  CHECK(read_all(pair[1].get()) == "{\"bye\":true}\n");
}

TEST_CASE("promises run on the uv loop, timers in order") {
  Loop loop;
  UvKj kj(loop);
  std::string order;
  auto slow = kj.after(Milliseconds(20)).then([&] { order += 'b'; }).eagerlyEvaluate(nullptr);
  auto fast = kj.after(Milliseconds(1)).then([&] { order += 'a'; }).eagerlyEvaluate(nullptr);
  auto never = kj.after(Milliseconds(1)).then([&] { order += 'x'; }).eagerlyEvaluate(nullptr);
  never = nullptr;  // dropping it stops its timer
  slow.wait(kj.wait_scope());
  fast.wait(kj.wait_scope());
  CHECK(order == "ab");
}

TEST_CASE("streams carry more than a socket buffer both ways") {
  Loop loop;
  UvKj kj(loop);
  auto pair = socket_pair();
  auto left = wrap_socket(kj, std::move(pair[0]));
  auto right = wrap_socket(kj, std::move(pair[1]));
  auto sent = kj::heapArray<kj::byte>(4 << 20);
  for (size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<kj::byte>(i * 7 + (i >> 13));
  auto received = kj::heapArray<kj::byte>(sent.size());
  kj::ArrayPtr<const kj::byte> whole = sent;
  std::vector<kj::ArrayPtr<const kj::byte>> pieces;
  for (size_t i = 0; i < 64; ++i) pieces.push_back(whole.slice(i << 16, (i + 1) << 16));
  auto writing =
      left->write(kj::arrayPtr(pieces.data(), pieces.size())).then([&] { left->shutdownWrite(); });
  CHECK(right->read(received.begin(), received.size(), received.size()).wait(kj.wait_scope()) ==
        received.size());
  writing.wait(kj.wait_scope());
  CHECK(sent == received);
  CHECK(right->tryRead(received.begin(), 1, 1).wait(kj.wait_scope()) == 0);
}

TEST_CASE("a stream that answers first reads nothing while something is to be written") {
  Loop loop;
  UvKj kj(loop);
  auto pipe = kj::newTwoWayPipe();  // accepts what is being read, and no more
  auto& peer = pipe.ends[1];
  auto stream = answer_first(kj::mv(pipe.ends[0]));
  auto asked = peer->write("?", 1);
  auto first = stream->write("1", 1);
  // As KJ does it: the next write begins when the first is done.
  bool second = false, read = false;
  auto writes = first.then([&] {
    second = true;
    return stream->write("2", 1);
  });
  char byte = 0, answer = 0;
  auto reads = stream->tryRead(&byte, 1, 1).then([&](size_t n) { read = n == 1; });
  auto both = kj::joinPromises(kj::arr(kj::mv(writes), kj::mv(reads)));
  auto going_on = both.eagerlyEvaluate([](kj::Exception&&) { FAIL("a stream that is whole"); });
  kj.wait_scope().poll();
  CHECK_FALSE(read);
  peer->read(&answer, 1).wait(kj.wait_scope());
  kj.wait_scope().poll();
  CHECK(second);
  CHECK_FALSE(read);
  peer->read(&answer, 1).wait(kj.wait_scope());
  going_on.wait(kj.wait_scope());
  CHECK(read);
  CHECK(answer == '2');
  asked.wait(kj.wait_scope());
}

TEST_CASE("connecting to nobody is a DISCONNECTED exception, a time limit OVERLOADED") {
  Loop loop;
  UvKj kj(loop);
  UniqueFd busy(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  Address address = *Address::parse("127.0.0.1");
  REQUIRE(::bind(busy.get(), address.raw(), address.raw_size()) == 0);
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  ::getsockname(busy.get(), reinterpret_cast<sockaddr*>(&bound), &size);
  Address to = *Address::from_sockaddr(bound);  // bound, not listening
  auto failed =
      kj::runCatchingExceptions([&] { connect_tcp(kj, address, to).wait(kj.wait_scope()); });
  KJ_IF_MAYBE (exception, failed) {
    CHECK(exception->getType() == kj::Exception::Type::DISCONNECTED);
  } else {
    FAIL("connected");
  }
  kj::Promise<void> never = kj::NEVER_DONE;
  auto late = kj::runCatchingExceptions(
      [&] { with_limit(kj, Milliseconds(1), "waiting", kj::mv(never)).wait(kj.wait_scope()); });
  KJ_IF_MAYBE (exception, late) {
    CHECK(exception->getType() == kj::Exception::Type::OVERLOADED);
  } else {
    FAIL("in time");
  }
}

}  // namespace
}  // namespace om
