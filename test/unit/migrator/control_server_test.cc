// SPDX-License-Identifier: Apache-2.0
//
// migrator/control/control_server.h over real sockets: what clients may do.
#include "migrator/control/control_server.h"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace om::migrator {
namespace {

void write_line(int fd, const std::string& text) {
  std::string line = text + "\n";
  REQUIRE(::send(fd, line.data(), line.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(line.size()));
}

Json read_line(Loop& loop, int fd) {
  std::string text;
  while (text.find('\n') == text.npos) {
    char c = 0;
    ssize_t n = ::recv(fd, &c, 1, MSG_DONTWAIT);
    if (n == 1) {
      text += c;
    } else if (n == 0) {
      return Json();
    } else {
      loop.run_once();
    }
  }
  return Json::parse(text);
}

struct Server {
  std::string directory = "/tmp/om-test-XXXXXX";
  Loop loop;
  std::unique_ptr<ControlServer> server;
  std::vector<ControlServer::Answerer> waiting;
  UniqueFd taken;

  int answered = 0;

  explicit Server(ControlServer::Limits limits = {}) {
    REQUIRE(::mkdtemp(directory.data()) != nullptr);
    server = std::move(ControlServer::listen(loop, path(), 0600)).value();
    server->serve(
        [this](const Caller& caller, const Json& request, ControlServer::Answerer answer) {
          if (request.value("verb", "") == "later") {
            waiting.push_back(std::move(answer));
          } else if (request.value("verb", "") == "large") {
            ++answered;
            answer(ok_answer(std::string(1000, 'x')));
          } else {
            answer(ok_answer({{"uid", caller.uid}}));
            answer(ok_answer("again"));
          }
        },
        [this](const Caller&, const Json& request, std::unique_ptr<JsonStream>& stream) {
          if (request.value("verb", "") != "take") return false;
          taken = stream->take_socket();
          if (!taken) return false;
          write_line(taken.get(), R"({"taken":true})");
          return true;
        },
        {}, limits);
  }
  ~Server() {
    server.reset();
    std::filesystem::remove_all(directory);
  }
  std::string path() const { return directory + "/deep/control.sock"; }
  UniqueFd connect() {
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path().copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    return socket;
  }
};

TEST_CASE("a client is known by its uid and answered once") {
  Server server;
  UniqueFd client = server.connect();
  write_line(client.get(), R"({"verb":"now"})");
  write_line(client.get(), R"({"verb":"now"})");
  Json answer = read_line(server.loop, client.get());
  CHECK(answer["data"]["uid"] == ::getuid());
  CHECK(read_line(server.loop, client.get())["data"]["uid"] == ::getuid());
}

TEST_CASE(
    "an answer reaches a client that has shut down its sending side, then the connection ends") {
  Server server;
  UniqueFd client = server.connect();
  write_line(client.get(), R"({"verb":"later"})");
  ::shutdown(client.get(), SHUT_WR);
  while (server.waiting.empty()) server.loop.run_once();
  server.loop.run_once();
  server.waiting[0](ok_answer(5));
  CHECK(read_line(server.loop, client.get())["data"] == 5);
  CHECK(read_line(server.loop, client.get()).is_null());
}

TEST_CASE("an answer for a client that has gone is dropped") {
  Server server;
  {
    UniqueFd client = server.connect();
    write_line(client.get(), R"({"verb":"later"})");
    while (server.waiting.empty()) server.loop.run_once();
  }
  server.waiting[0](ok_answer(5));
  UniqueFd client = server.connect();
  write_line(client.get(), R"({"verb":"now"})");
  CHECK(read_line(server.loop, client.get())["ok"] == true);
  server.server.reset();
  server.waiting[0](ok_answer(6));  // after the server too
}

TEST_CASE("a mistake is answered and ends the connection") {
  Server server;
  for (const std::string& mistake : {std::string("hello"), std::string(100000, 'x')}) {
    UniqueFd client = server.connect();
    ::send(client.get(), mistake.data(), mistake.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    ::send(client.get(), "\n", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    Json answer = read_line(server.loop, client.get());
    CHECK(answer["exit"] == 2);
    CHECK(answer["code"] == "BAD_REQUEST");
  }
}

TEST_CASE("a client that asks nothing is closed, one that waits for its answer is not") {
  Server server(ControlServer::Limits{.idle = Milliseconds(20)});
  UniqueFd idle = server.connect();
  UniqueFd waiting = server.connect();
  write_line(waiting.get(), R"({"verb":"later"})");
  CHECK(read_line(server.loop, idle.get()).is_null());
  REQUIRE(server.waiting.size() == 1);
  server.waiting[0](ok_answer(5));
  CHECK(read_line(server.loop, waiting.get())["data"] == 5);
}

TEST_CASE("who does not read the answers is asked no more, and gets all of them later") {
  Server server;
  UniqueFd client = server.connect();
  constexpr int kRequests = 20000;
  std::string requests;
  for (int i = 0; i < kRequests; ++i) requests += "{\"verb\":\"large\"}\n";
  std::string_view rest = requests;
  int stuck = 0;
  while (!rest.empty() && stuck < 50) {
    ssize_t n = ::send(client.get(), rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) rest.remove_prefix(static_cast<size_t>(n));
    stuck = n > 0 ? 0 : stuck + 1;
    uv_run(server.loop.raw(), UV_RUN_NOWAIT);
  }
  CHECK(server.answered < kRequests / 2);  // 20,000 answers of a KiB would be 20 MB
  const int before = server.answered;
  uv_run(server.loop.raw(), UV_RUN_NOWAIT);
  CHECK(server.answered == before);
  int got = 0;
  std::array<char, 65536> buffer;
  while (got < kRequests) {
    if (!rest.empty()) {
      ssize_t n = ::send(client.get(), rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n > 0) rest.remove_prefix(static_cast<size_t>(n));
    }
    uv_run(server.loop.raw(), UV_RUN_NOWAIT);
    ssize_t n = ::recv(client.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    REQUIRE(n != 0);
    for (ssize_t i = 0; i < n; ++i) got += buffer[static_cast<size_t>(i)] == '\n' ? 1 : 0;
  }
  CHECK(got == kRequests);
}

TEST_CASE("a connection can be taken away, and goes on with another protocol") {
  Server server;
  UniqueFd client = server.connect();
  write_line(client.get(), R"({"verb":"take"})");
  CHECK(read_line(server.loop, client.get())["taken"] == true);
  write_line(client.get(), "no JSON");
  std::array<char, 16> buffer{};
  CHECK(::recv(server.taken.get(), buffer.data(), buffer.size(), 0) == 8);
  // Not from a client that has sent more: nobody may read what is meant for another.
  UniqueFd hasty = server.connect();
  write_line(hasty.get(), "{\"verb\":\"take\"}\n{\"verb\":\"now\"}");
  CHECK(read_line(server.loop, hasty.get())["ok"] == true);
}

TEST_CASE("one daemon per socket, and only in a directory that others cannot write") {
  Server server;
  auto second = ControlServer::listen(server.loop, server.path(), 0600);
  REQUIRE_FALSE(second.ok());
  CHECK(second.error().err == EADDRINUSE);
  struct stat info {};
  REQUIRE(::stat(server.path().c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  std::string open_directory = server.directory + "/open";
  REQUIRE(::mkdir(open_directory.c_str(), 0777) == 0);
  REQUIRE(::chmod(open_directory.c_str(), 0777) == 0);
  CHECK(ControlServer::listen(server.loop, open_directory + "/c", 0600).error().err == EPERM);
  CHECK(ControlServer::listen(server.loop, std::string(200, 'x'), 0600).error().err ==
        ENAMETOOLONG);
}

}  // namespace
}  // namespace om::migrator
