// SPDX-License-Identifier: Apache-2.0
//
// What keeps guests apart: migrator/moves/guest_users.h, and migrator/moves/guest_groups.h over files that stand for
// those of the kernel (what the kernel makes of them: test/fault/limits_test.py).
#include <doctest/doctest.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "migrator/moves/guest_groups.h"
#include "migrator/moves/guest_users.h"

namespace om::migrator {
namespace {

namespace fs = std::filesystem;

using Owner = std::optional<GuestUsers::Owner>;

TEST_CASE("a range of user ids") {
  const auto range = proc::UserRange::parse("60100-60999");
  REQUIRE(range.ok());
  CHECK(range->size() == 900);
  CHECK(range->text() == "60100-60999");
  CHECK(range->contains(60100));
  CHECK(range->contains(60999));
  CHECK_FALSE(range->contains(61000));
  for (const char* bad :
       {"", "-", "5", "5-", "-5", "6-5", "0-5", "65534-65534", "60000-70000", "1-2-3", "a-b",
        " 1-2", "1-65537", "4294967290-4294967295", "5-99999999999"}) {
    CAPTURE(bad);
    CHECK_FALSE(proc::UserRange::parse(bad).ok());
  }
}

TEST_CASE("whether a user has processes") {
  CHECK(proc::user_has_processes(::getuid()));
  const uid_t unused = 3000000007;
  CHECK_FALSE(proc::user_has_processes(unused));
  if (::geteuid() != 0) return;
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    char byte = 0;
    ::close(ends[1]);
    if (::setresuid(unused, unused, unused) != 0) ::_exit(1);
    (void)!::read(ends[0], &byte, 1);
    ::_exit(0);
  }
  ::close(ends[0]);
  while (!proc::user_has_processes(unused)) ::usleep(1000);
  ::close(ends[1]);
  REQUIRE(::waitpid(child, nullptr, 0) == child);
  CHECK_FALSE(proc::user_has_processes(unused));
}

TEST_CASE("each guest is a user of its own, and ids rest before they are used again") {
  std::set<uid_t> busy = {101};
  GuestUsers users(
      {proc::UserRange{100, 103}, {}}, [&](uid_t uid) { return busy.count(uid) != 0; }, 2);
  const auto take = [&users] {
    const auto owner = users.take();
    return owner.ok() && *owner ? static_cast<int>((*owner)->first) : -owner.error().err;
  };
  CHECK(take() == 102);
  CHECK(take() == 103);
  CHECK_FALSE(users.used_up());
  CHECK(take() == 100);  // 101 is somebody's, of an earlier daemon perhaps
  CHECK(users.used_up());
  CHECK(take() == -EUSERS);
  users.give_back(Owner({102, 102}));
  busy.insert(102);  // its keeper has ended, a process of it has not
  CHECK(users.used_up());
  CHECK(take() == -EUSERS);
  busy = {};
  CHECK(take() == 101);
  CHECK(take() == 102);
  CHECK(users.text() == "each its own of 100-103");
}

TEST_CASE("all guests are one user, or the daemon's") {
  GuestUsers one({{}, GuestUsers::Owner{65534, 65533}}, [](uid_t) { return true; });
  for (int i = 0; i < 3; ++i) CHECK(*one.take() == Owner({65534, 65533}));
  CHECK_FALSE(one.used_up());
  GuestUsers none(GuestUsers::Settings{});
  CHECK(*none.take() == Owner());
  CHECK_FALSE(none.used_up());
}

// A folder with the files that the kernel would make in a group.
struct Tree {
  Tree() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~Tree() { fs::remove_all(path); }
  void put(const std::string& group, std::initializer_list<const char*> files) {
    fs::create_directories(path + "/" + group);
    for (const char* file : files) std::ofstream(path + "/" + group + "/" + file).flush();
  }
  std::string read(const std::string& file) const {
    std::ifstream stream(path + "/" + file);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  std::string path = "/tmp/om-test-XXXXXX";
};

constexpr uint64_t kMiB = 1 << 20;
const GuestResources kLimits{proc::CpuShare::kIdle, 100 * kMiB, 300 * kMiB, 20, 90};

TEST_CASE("control groups of version 1: one folder for each controller") {
  Tree tree;
  for (const char* group : {"m/om", "m/om/7-1"})
    tree.put(group, {"memory.limit_in_bytes", "cgroup.procs"});
  for (const char* group : {"p/om", "p/om/7-1"}) tree.put(group, {"pids.max", "cgroup.procs"});
  for (const char* group : {"c/om", "c/om/7-1"}) tree.put(group, {"cpu.shares", "cgroup.procs"});
  GuestGroups groups({{"memory", tree.path + "/m", false},
                      {"pids", tree.path + "/p", false},
                      {"cpu", tree.path + "/c", false}},
                     "om", kLimits);
  CHECK(groups.kind() == "v1");
  CHECK(tree.read("m/om/memory.limit_in_bytes") == std::to_string(300 * kMiB));
  CHECK(tree.read("p/om/pids.max") == "90");
  CHECK(tree.read("c/om/cpu.shares") == "2");
  const auto files = groups.make("7-1");
  REQUIRE(files.ok());
  CHECK(*files == std::vector<std::string>{tree.path + "/m/om/7-1/cgroup.procs",
                                           tree.path + "/p/om/7-1/cgroup.procs",
                                           tree.path + "/c/om/7-1/cgroup.procs"});
  // More than the guest may have, so that it is sent home first.
  CHECK(tree.read("m/om/7-1/memory.limit_in_bytes") == std::to_string(612 * kMiB));
  CHECK(tree.read("p/om/7-1/pids.max") == "36");
}

TEST_CASE(
    "control groups of version 2: one folder, and the guest is slowed down before it is stopped") {
  Tree tree;
  tree.put("om", {"memory.high", "memory.max", "pids.max", "cpu.weight", "cgroup.subtree_control"});
  tree.put("om/7-1", {"memory.high", "memory.max", "pids.max", "cgroup.procs"});
  GuestGroups groups(
      {{"memory", tree.path, true}, {"pids", tree.path, true}, {"cpu", tree.path, true}}, "om",
      kLimits);
  CHECK(groups.kind() == "v2");
  CHECK(tree.read("om/memory.max") == std::to_string(300 * kMiB));
  CHECK(tree.read("om/memory.high").empty());
  CHECK(tree.read("om/cpu.weight") == "1");
  const auto files = groups.make("7-1");
  REQUIRE(files.ok());
  CHECK(*files == std::vector<std::string>{tree.path + "/om/7-1/cgroup.procs"});
  CHECK(tree.read("om/7-1/memory.high") == std::to_string(356 * kMiB));
  CHECK(tree.read("om/7-1/memory.max") == std::to_string(612 * kMiB));
}

TEST_CASE("a controller is used only for a limit, and a group that cannot be made is left out") {
  Tree tree;
  tree.put("p/om", {"pids.max"});
  const std::vector<GuestGroups::Place> places = {{"memory", tree.path + "/m", false},
                                                  {"pids", tree.path + "/p", false},
                                                  {"cpu", tree.path + "/c", false}};
  GuestResources threads;
  threads.all_threads = 50;
  GuestGroups some(places, "om", threads);
  CHECK(some.has("pids"));
  CHECK_FALSE(some.has("memory"));
  CHECK_FALSE(fs::exists(tree.path + "/m"));
  CHECK(tree.read("p/om/pids.max") == "50");
  CHECK(some.make("7-1").error().err == ENOENT);  // the kernel would have made its files
  GuestGroups none(places, "om", {proc::CpuShare::kLow, kMiB, 0, 0, 0});
  CHECK(none.kind() == "none");
  CHECK(none.make("7-1")->empty());
}

TEST_CASE("groups without processes are removed, others and those that are being filled are not") {
  Tree tree;
  tree.put("p/om", {"pids.max"});
  GuestResources threads;
  threads.threads = 5;
  GuestGroups groups({{"pids", tree.path + "/p", false}}, "om", threads);
  tree.put("p/om/1-1", {});
  tree.put("p/om/1-2", {});
  tree.put("p/om/1-3", {"busy"});  // a folder that is not empty stands for a group with processes
  groups.sweep({"1-2"});
  CHECK_FALSE(fs::exists(tree.path + "/p/om/1-1"));
  CHECK(fs::exists(tree.path + "/p/om/1-2"));
  CHECK(fs::exists(tree.path + "/p/om/1-3"));
  fs::remove(tree.path + "/p/om/1-3/busy");
  fs::remove(tree.path + "/p/om/pids.max");
  groups.leave();
  CHECK_FALSE(fs::exists(tree.path + "/p/om"));
}

}  // namespace
}  // namespace om::migrator
