// SPDX-License-Identifier: Apache-2.0
//
// The state machine of machine.h on the loop: its requests go out by http.h, its changes to the owner. Loop thread
// only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/uv/loop.h"
#include "migrator/etcd/http.h"
#include "migrator/etcd/machine.h"

namespace om::etcd {

class Service {
 public:
  struct Settings {
    std::vector<std::string> endpoints;  // "https://host:2379", at least one
    Http::Settings http{};
    Machine::Settings machine{};  // but for the number of endpoints
  };
  // They may call the service, and may not destroy it.
  struct Events {
    std::function<void(const MemberChange& change)> on_change;
    std::function<void(const Machine::TokenChange& token)> on_token;
    // After all was read: the tokens that there are.
    std::function<void(const std::set<std::string>& tokens)> on_all_tokens;
    std::function<void(const std::string& holder)> on_unknown_key;
    // Nothing is heard of etcd, and why; or (nullopt) it is back.
    std::function<void(std::optional<std::string> lost)> on_reach;
  };
  // The body of an answer with status 200, or one line about what was wrong.
  using Done = std::function<void(Result<std::string> body)>;

  // Errors: libcurl cannot start.
  static Result<std::unique_ptr<Service>> create(Loop& loop, const Clock& clock, Settings settings,
                                                 Events events);
  ~Service();

  void start();
  // One request of the owner's, to the endpoint that is in use. Waits while all is read, fails at once while etcd is
  // out of reach.
  void call(const char* path, std::string body, Done done);

  void restate(uint64_t features);
  void use_key(KeyStatement own);
  void deny(NodeId node, std::string_view entry);
  void leave();
  // Has the tokens told once more.
  void read_again();

  const MemberMap& members() const { return machine_.members(); }
  uint64_t malformed() const { return machine_.malformed(); }
  const std::string& prefix() const { return prefix_; }

 private:
  Service(Loop& loop, const Clock& clock, Settings settings, std::unique_ptr<Http> http,
          Events events);
  Now now() const { return {clock_.now(), clock_.wall()}; }
  void settle();
  void send(Machine::Request request);
  void call_waiting();
  void arm();

  const Clock& clock_;
  std::vector<std::string> endpoints_;
  std::string prefix_;
  Events events_;
  std::unique_ptr<Http> http_;
  Machine machine_;
  std::map<uint64_t, uint64_t> posts_;  // the machine's requests that are under way: their posts
  struct Call {
    const char* path;
    std::string body;
    Done done;
  };
  static constexpr size_t kMostWaiting = 256;
  std::vector<Call> waiting_;
  uint64_t watch_ = 0;  // number of the machine's watch
  Timer timer_;
};

}  // namespace om::etcd
