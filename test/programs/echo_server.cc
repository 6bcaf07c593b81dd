// SPDX-License-Identifier: Apache-2.0
//
// A TCP echo server on a loopback port of the system's choice, which it writes into the file
// "port". One epoll loop with non-blocking sockets; it keeps what it cannot send yet. It ends when
// its first client and all others have gone, and prints what it has echoed.
//
//   echo_server
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <map>
#include <string>

namespace {

[[noreturn]] void die(const char* what) {
  perror(what);
  exit(1);
}

uint64_t g_bytes = 0, g_checksum = 0, g_clients = 0;

struct Client {
  std::string unsent;
  bool ended = false;  // the client sends no more
};

// Takes in what there is and sends what goes out; false when the connection is done.
bool serve(int fd, Client& client) {
  static char buffer[65536];
  while (!client.ended && client.unsent.size() < (1u << 20)) {
    ssize_t got = recv(fd, buffer, sizeof buffer, 0);
    if (got < 0 && errno == EAGAIN) break;
    if (got < 0) die("recv");
    client.ended = got == 0;
    for (ssize_t i = 0; i < got; ++i) {
      g_checksum = g_checksum * 31 + static_cast<unsigned char>(buffer[i]);
    }
    g_bytes += static_cast<uint64_t>(got);
    client.unsent.append(buffer, static_cast<size_t>(got));
  }
  while (!client.unsent.empty()) {
    ssize_t sent = send(fd, client.unsent.data(), client.unsent.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) break;
    if (sent < 0) die("send");
    client.unsent.erase(0, static_cast<size_t>(sent));
  }
  return !(client.ended && client.unsent.empty());
}

int listen_somewhere() {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  socklen_t bytes = sizeof address;
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || bind(fd, reinterpret_cast<sockaddr*>(&address), bytes) != 0 ||
      listen(fd, 16) != 0) {
    die("listen");
  }
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &bytes) != 0) die("getsockname");
  FILE* out = fopen("port.new", "w");
  if (out == nullptr || fprintf(out, "%d", ntohs(address.sin_port)) < 0 || fclose(out) != 0 ||
      rename("port.new", "port") != 0) {
    die("port");
  }
  return fd;
}

}  // namespace

int main() {
  int listener = listen_somewhere();
  int set = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{EPOLLIN, {.fd = listener}};
  if (set < 0 || epoll_ctl(set, EPOLL_CTL_ADD, listener, &event) != 0) die("epoll");
  std::map<int, Client> clients;
  while (g_clients == 0 || !clients.empty()) {
    epoll_event events[16];
    int count = epoll_wait(set, events, 16, 1000);
    if (count < 0 && errno != EINTR) die("epoll_wait");
    for (int i = 0; i < count; ++i) {
      int fd = events[i].data.fd;
      if (fd == listener) {
        int peer = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (peer < 0) die("accept4");
        event = {EPOLLIN | EPOLLOUT | EPOLLET, {.fd = peer}};
        if (epoll_ctl(set, EPOLL_CTL_ADD, peer, &event) != 0) die("epoll_ctl");
        clients[peer];
        ++g_clients;
        fd = peer;
      }
      auto client = clients.find(fd);
      if (client != clients.end() && !serve(fd, client->second)) {
        close(fd);
        clients.erase(client);
      }
    }
  }
  printf("%llu clients, %llu bytes, checksum %016llx\n", static_cast<unsigned long long>(g_clients),
         static_cast<unsigned long long>(g_bytes), static_cast<unsigned long long>(g_checksum));
  return 0;
}
