// SPDX-License-Identifier: Apache-2.0
//
// migrator/gossip/multicast.h and discovery.h between two network namespaces. A program of its own: it leaves its
// namespaces, which only a process without threads may do. Skipped with a reason where namespaces may not be made.
#include "migrator/gossip/multicast.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "common/base/unique_fd.h"
#include "migrator/gossip/discovery.h"

namespace om::members {
namespace {

bool write_file(const char* path, const std::string& text) {
  const UniqueFd file(::open(path, O_WRONLY | O_CLOEXEC));
  return file && ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// An ordinary user becomes root of a user namespace, so that programs it starts may set up interfaces.
bool may_make_namespaces() {
  if (::geteuid() == 0) return ::unshare(CLONE_NEWNET) == 0;
  const std::string user = std::to_string(::geteuid()), group = std::to_string(::getegid());
  return ::unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 &&
         write_file("/proc/self/setgroups", "deny") &&
         write_file("/proc/self/uid_map", "0 " + user + " 1") &&
         write_file("/proc/self/gid_map", "0 " + group + " 1");
}

// Two network namespaces with a cable between them and no default route; made once.
struct TwoNamespaces {
  UniqueFd one, two;
  std::string missing;

  static const TwoNamespaces& get() {
    static const TwoNamespaces spaces;
    return spaces;
  }
  void enter(const UniqueFd& space) const {
    if (::setns(space.get(), CLONE_NEWNET) != 0) ::abort();
  }

 private:
  TwoNamespaces() {
    if (!may_make_namespaces()) {
      missing = "no network namespace may be made here";
      return;
    }
    one = UniqueFd(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    if (::unshare(CLONE_NEWNET) != 0) {
      missing = "no second network namespace may be made here";
      return;
    }
    two = UniqueFd(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    const std::string command = "ip link add omb type veth peer name oma netns /proc/" +
                                std::to_string(::getpid()) + "/fd/" + std::to_string(one.get()) +
                                " && ip addr add 10.99.0.2/24 dev omb && ip link set omb up";
    const bool made = ::system(("(" + command + ") 2>/dev/null").c_str()) == 0;
    enter(one);
    const bool other =
        ::system("(ip addr add 10.99.0.1/24 dev oma && ip link set oma up) 2>/dev/null") == 0;
    if (!made || !other) missing = "ip(8) cannot make a cable between namespaces here";
  }
};

// A node's discovery in a thread of its own, as a network namespace is a thread's.
class Watcher {
 public:
  Watcher(const UniqueFd& space, uint64_t node, uint8_t cluster)
      : thread_([this, &space, node, cluster] { run(space, node, cluster); }) {}
  ~Watcher() {
    stop_ = true;
    thread_.join();
  }
  bool found(const std::string& address) {
    const std::lock_guard lock(mutex_);
    return found_.contains(address);
  }
  size_t finds() {
    const std::lock_guard lock(mutex_);
    return found_.size();
  }
  // Names of nodes of other clusters.
  bool sees(const std::string& name) {
    const std::lock_guard lock(mutex_);
    return others_.contains(name);
  }

 private:
  void run(const UniqueFd& space, uint64_t node, uint8_t cluster) {
    TwoNamespaces::get().enter(space);
    Loop loop;
    SystemClock clock;
    DiscoverySettings settings;
    settings.self.major = 2;
    settings.self.port = static_cast<uint16_t>(4700 + node);
    settings.self.cluster.fill(cluster);
    settings.self.node = NodeId{node};
    settings.self.name = "n" + std::to_string(node);
    settings.self.cluster_name = "lab" + std::to_string(cluster);
    Discovery::Local local;
    local.alone = [] { return true; };
    local.is_present = [](NodeId) { return false; };
    local.is_ours = [](const Address&) { return false; };
    local.send = [](const Address&, std::string_view) { return true; };
    local.on_malformed = [](const Address&) {};
    local.on_found = [this](const Address& address) {
      const std::lock_guard lock(mutex_);
      found_.insert(address.text());
    };
    Discovery discovery(loop, clock, settings, local);
    discovery.start();
    Timer tick(loop);
    tick.start_repeating(Milliseconds(20), [&] {
      const std::lock_guard lock(mutex_);
      for (const Sighting& sighting : discovery.others()) others_.insert(sighting.name);
    });
    while (!stop_) loop.run_once();
  }

  std::mutex mutex_;
  std::set<std::string> found_, others_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

TEST_CASE("multicast reaches another machine without a default route") {
  const TwoNamespaces& spaces = TwoNamespaces::get();
  if (!spaces.missing.empty()) {
    MESSAGE("skipped: " << spaces.missing);
    return;
  }
  Loop loop;
  std::vector<std::string> here, there;
  auto open = [&](const UniqueFd& space, std::vector<std::string>& heard) {
    spaces.enter(space);
    auto multicast = Multicast::open(loop, kMulticastPort);
    REQUIRE(multicast);
    (*multicast)->start([&heard](const Address& from, std::string_view bytes) {
      heard.push_back(std::string(bytes) + " " + from.text());
    });
    return std::move(*multicast);
  };
  auto one = open(spaces.one, here);
  auto two = open(spaces.two, there);
  auto second = open(spaces.two, there);  // another daemon of the same machine
  const auto heard = [](const std::vector<std::string>& all, const std::string& what) {
    return std::count(all.begin(), all.end(), what);
  };
  const auto done = [&] {
    return heard(here, "from two 10.99.0.2:4699") >= 1 &&
           heard(here, "joins only 10.99.0.2:4699") >= 1 &&
           heard(there, "from one 10.99.0.1:4699") >= 2;  // both of the machine
  };
  // The cable takes its time to come up; each sending joins what is there.
  for (int turn = 0; turn < 600 && !done(); ++turn) {
    spaces.enter(spaces.one);
    one->send("from one");
    spaces.enter(spaces.two);
    second->send("joins only");
    two->send("from two");
    Timer pause(loop);
    bool over = false;
    pause.start(Milliseconds(50), [&] { over = true; });
    while (!over) loop.run_once();
  }
  CHECK(done());
}

TEST_CASE("members find each other between machines; another cluster is seen and not found") {
  const TwoNamespaces& spaces = TwoNamespaces::get();
  if (!spaces.missing.empty()) {
    MESSAGE("skipped: " << spaces.missing);
    return;
  }
  Watcher one(spaces.one, 1, 1), two(spaces.two, 2, 1), other(spaces.two, 3, 9);
  for (int i = 0; i < 1200 && !(one.found("10.99.0.2:4702") && two.found("10.99.0.1:4701") &&
                                one.sees("n3") && two.sees("n3") && other.sees("n1"));
       ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  CHECK(one.found("10.99.0.2:4702"));
  CHECK(two.found("10.99.0.1:4701"));
  CHECK(one.sees("n3"));
  CHECK(two.sees("n3"));
  CHECK(other.sees("n1"));
  CHECK(other.finds() == 0);
  CHECK_FALSE(one.found("10.99.0.2:4703"));
}

}  // namespace
}  // namespace om::members
