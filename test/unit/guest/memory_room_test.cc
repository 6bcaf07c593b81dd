// SPDX-License-Identifier: Apache-2.0
//
// guest/memory_room.h: which memory limit is how near.
#include "guest/memory_room.h"

#include <doctest/doctest.h>
#include <unistd.h>

namespace om::guest {
namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr const char* kMountinfo =
    "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n"
    "41 31 0:38 /box /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
    "broken line\n"
    "42 31 0:39 / /short - cgroup2\n";

TEST_CASE("memory controllers are found among the mounts") {
  const auto mounts = proc::cgroup_mounts(kMountinfo, "memory");
  REQUIRE(mounts.size() == 2);
  CHECK(mounts[0].point == "/sys/fs/cgroup/memory");
  CHECK(!mounts[0].second);
  CHECK(mounts[1].point == "/sys/fs/cgroup/unified");
  CHECK(mounts[1].root == "/box");
  CHECK(mounts[1].second);
  CHECK(proc::cgroup_mounts("", "memory").empty());
}

TEST_CASE("all groups around a process count, innermost first") {
  using Folders = std::vector<std::string>;
  constexpr const char* kGroups = "5:devices:/x\n4:cpu,memory:/a/b\n0::/box/c/d\n";
  CHECK(proc::cgroup_folders(kGroups, {"/m", "/", false}, "memory") ==
        Folders{"/m/a/b", "/m/a", "/m"});
  CHECK(proc::cgroup_folders(kGroups, {"/u", "/box", true}, "memory") ==
        Folders{"/u/c/d", "/u/c", "/u"});
  CHECK(proc::cgroup_folders(kGroups, {"/u", "/other", true}, "memory").empty());
  CHECK(proc::cgroup_folders("4:memory:/\n", {"/m", "/", false}, "memory") == Folders{"/m"});
  CHECK(proc::cgroup_folders("no colons\n4:memory\n", {"/m", "/", false}, "memory").empty());
}

TEST_CASE("the machine's own memory is there without groups") {
  RoomReader reader({});
  const RoomReader::Time now{};
  REQUIRE(reader.read(getpid(), now).ok());
  const auto room =
      reader.read(getpid(), now + std::chrono::seconds(2));  // through the same descriptors
  REQUIRE(room.ok());
  CHECK(room->of == "the machine");
  CHECK(room->limit > 0);
  CHECK(room->left <= room->limit);
}

TEST_CASE("a near limit is looked at often, a far one once a second") {
  using std::chrono::milliseconds;
  auto pause = [](uint64_t left) { return look_again({left * kMiB, 1024 * kMiB, ""}, 64 * kMiB); };
  CHECK(pause(0) == milliseconds(50));
  CHECK(pause(65) == milliseconds(50));
  CHECK(pause(64 + 410) == milliseconds(100));  // 4 GiB a second
  CHECK(pause(64 + 4096) == milliseconds(1000));
  CHECK(pause(1 << 20) == milliseconds(1000));
}

TEST_CASE("what is short depends on the limit and on the headroom") {
  auto short_of = [](uint64_t left, uint64_t limit, uint64_t headroom) {
    return is_short({left * kMiB, limit * kMiB, ""}, headroom * kMiB);
  };
  CHECK(!short_of(64, 1024, 64));
  CHECK(short_of(63, 1024, 64));
  CHECK(short_of(1000, 32768, 64));  // a 32nd of a large machine
  CHECK(!short_of(1024, 32768, 64));
  CHECK(!short_of(25, 100, 64));  // a quarter of a small group at most
  CHECK(short_of(24, 100, 64));
  CHECK(!short_of(0, 100, 0));
}

}  // namespace
}  // namespace om::guest
