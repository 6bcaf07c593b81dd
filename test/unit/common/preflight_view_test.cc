// SPDX-License-Identifier: Apache-2.0
//
// common/movable/preflight.h: several reasons at once, made-up views for what this machine cannot do (protection keys,
// shadow stacks, device memory), and commands before they start.
#include <sys/statvfs.h>

#include <algorithm>

#include "test/unit/common/preflight_child.h"

namespace om {
namespace {

TEST_CASE(
    "several reasons are all found, in the order of the table, what follows from others last") {
  std::string path = files().page_file("data");
  Child child({[&] {
    bool good = map_file(path, PROT_READ | PROT_WRITE, MAP_SHARED, O_RDWR) != MAP_FAILED;
    for (int i = 0; i < 5; ++i) {
      std::string name = files().page_file("shared" + std::to_string(i));
      good = good && map_file(name, PROT_READ | PROT_WRITE, MAP_SHARED, O_RDWR) != MAP_FAILED;
    }
    return check(good && munmap(fake_libom(), kPage) == 0);
  }});
  REQUIRE(child.next() == 0);
  std::vector<Reason> reasons = preflight_process(child.pid());
  REQUIRE(!reasons.empty());
  CHECK(reasons.back().code == ReasonCode::kNotPreloaded);
  CHECK(std::is_sorted(reasons.begin(), reasons.end() - 1,
                       [](const Reason& a, const Reason& b) { return a.code < b.code; }));
  Codes expected = plus("SHARED_WRITABLE");
  expected.insert("NOT_PRELOADED");
  CHECK(names_of(reasons) == expected);
  CHECK(detail_of(child.pid(), ReasonCode::kSharedWritable).find(" and 3 more") !=
        std::string::npos);
}

ProcessView plain_view() {
  ProcessView view;
  view.leader.pid = view.leader.tgid = 10;
  view.leader.state = 'S';
  view.threads = {view.leader, view.leader};
  view.threads[1].pid = 11;
  proc::SmapsEntry libom;
  libom.map = *proc::parse_maps_line("1000-2000 r-xp 0 fe:01 5 /usr/lib/libom.so");
  proc::SmapsEntry vvar;
  vvar.map = *proc::parse_maps_line("7000-8000 r--p 0 00:00 0 [vvar]");
  vvar.flags = proc::VmFlags("rd mr pf io de dd sd");
  view.maps = {libom, vvar};
  view.nofile = rlimit{1024, 4096};
  return view;
}

TEST_CASE("made-up views") {
  ProcessView view = plain_view();
  CHECK(names_of(check_view(view)).empty());
  auto with_flags = [&](const char* line, const char* flags) {
    proc::SmapsEntry entry;
    entry.map = *proc::parse_maps_line(line);
    entry.flags = proc::VmFlags(flags);
    view.maps.push_back(entry);
    return names_of(check_view(view));
  };
  SUBCASE("protection key") {
    view.maps[0].protection_key = 3;
    CHECK(names_of(check_view(view)) == Codes{"PKEYS"});
  }
  SUBCASE("shadow stack") {
    view.threads[1].shadow_stack = true;
    CHECK(names_of(check_view(view)) == Codes{"CET"});
    CHECK(check_view(view)[0].detail == "thread 11");
  }
  SUBCASE("privileged exec") {
    view.secure_exec = true;
    CHECK(names_of(check_view(view)) == Codes{"SETUID"});
  }
  SUBCASE("uprobes") {
    CHECK(with_flags("9000-a000 --xp 0 00:00 0 [uprobes]", "ex mr de io") ==
          Codes{"DEVICE_MAPPED"});
  }
  SUBCASE("memory of a PCI device in sysfs") {
    CHECK(with_flags("9000-a000 rw-s 0 00:15 7 /sys/devices/x/resource0", "rd wr sh io pf") ==
          Codes{"DEVICE_MAPPED"});
  }
  SUBCASE("a file from hugetlbfs") {
    CHECK(with_flags("200000-400000 rw-s 0 00:15 7 /mnt/huge/x", "rd wr sh ht") ==
          Codes{"HUGETLB"});
  }
  SUBCASE("write-protect userfaultfd") {
    CHECK(with_flags("9000-a000 rw-p 0 00:00 0", "rd wr uw") == Codes{"UFFD"});
  }
  SUBCASE("a removed libom.so is still one") {
    view.maps[0].map =
        *proc::parse_maps_line("1000-2000 r-xp 0 fe:01 5 /usr/lib/libom.so (deleted)");
    CHECK(names_of(check_view(view)).empty());
  }
  SUBCASE("descriptor numbers in a row below the hard limit") {
    constexpr uint64_t kHard = 130;
    const uint32_t needed = thread_slots(view.threads.size(), RLIM_INFINITY, kHard) + 1;
    REQUIRE(needed == 65);
    view.nofile = rlimit{10, kHard};
    view.fds = {{3, "/x"}, {64, "/y"}};
    CHECK(names_of(check_view(view)).empty());
    view.fds = {{3, "/x"}, {65, "/y"}};
    CHECK(names_of(check_view(view)) == Codes{"FD_LIMIT"});
    view.fds = {{129, "/y"}};
    CHECK(names_of(check_view(view)).empty());
    view.fds = {{128, "/y"}};
    CHECK(names_of(check_view(view)) == Codes{"FD_LIMIT"});
    view.nofile = rlimit{5, 1024};
    CHECK(names_of(check_view(view)).empty());
    view.nofile = rlimit{5, 5};
    CHECK(names_of(check_view(view)) == Codes{"FD_LIMIT"});
    view.nofile.reset();
    CHECK(names_of(check_view(view)).empty());
  }
  SUBCASE("memory limits leave room for libom") {
    constexpr uint64_t kMiB = 1 << 20;
    view.threads[0].vm_size_bytes = 100 * kMiB;
    view.threads[0].vm_data_bytes = 30 * kMiB;
    view.as = rlimit{184 * kMiB, RLIM_INFINITY};
    CHECK(names_of(check_view(view)).empty());
    view.as = rlimit{184 * kMiB - 1, RLIM_INFINITY};
    CHECK(names_of(check_view(view)) == Codes{"HOME_MEMORY"});
    CHECK(check_view(view)[0].detail == "RLIMIT_AS leaves 83 MiB, 84 MiB are needed");
    view.as = rlimit{50 * kMiB, RLIM_INFINITY};
    CHECK(check_view(view)[0].detail == "RLIMIT_AS leaves 0 MiB, 84 MiB are needed");
    view.as = rlimit{RLIM_INFINITY, RLIM_INFINITY};
    CHECK(names_of(check_view(view)).empty());
    view.data = rlimit{99 * kMiB, RLIM_INFINITY};
    CHECK(names_of(check_view(view)).empty());
    view.data = rlimit{98 * kMiB, RLIM_INFINITY};
    CHECK(names_of(check_view(view)) == Codes{"HOME_MEMORY"});
  }
  SUBCASE("more threads need more numbers, a small limit means fewer") {
    CHECK(thread_slots(1, RLIM_INFINITY, 1 << 20) == 1024);
    CHECK(thread_slots(1, RLIM_INFINITY, 1024) == 256);
    CHECK(thread_slots(1000, RLIM_INFINITY, 1 << 20) == 2048);
    CHECK(thread_slots(1, 1 << 30, 1 << 20) == 64);
  }
}

// ------------------------------------------------------------------------------------ om check

Codes command_codes(const std::string& path) {
  std::vector<std::string> argv = {path, "argument"};
  Result<CommandReport> report = preflight_command(argv, "/bin:/usr/bin");
  REQUIRE_MESSAGE(report.ok(), report.error().text());
  return names_of(report->reasons);
}

TEST_CASE("commands") {
  CHECK(command_codes("sh").empty());
  CHECK(command_codes("/bin/sh").empty());
  CHECK(command_codes(files().write("script", "#!/bin/sh\n", 0755)).empty());
  std::string path = files().write("static", tiny_program(true), 0755);
  CHECK(command_codes(path) == Codes{"STATIC_BINARY"});
  CHECK(command_codes(files().write("script", "#!" + path + "\n", 0755)) == Codes{"STATIC_BINARY"});
  CHECK(command_codes(files().write("narrow", tiny_program(false), 0755)) ==
        Codes{"NOT_PRELOADED"});
  auto error = [](std::vector<std::string> argv) {
    Result<CommandReport> report = preflight_command(argv, "/bin:/usr/bin");
    return report ? 0 : report.error().err;
  };
  CHECK(error({}) == EINVAL);
  CHECK(error({"om-no-such-command"}) == ENOENT);
  CHECK(error({files().path("missing")}) == ENOENT);
  CHECK(error({files().page_file("text")}) == EACCES);
  CHECK(error({"/tmp"}) == EACCES);
}

TEST_CASE("commands that raise privileges") {
  struct statvfs mount;
  REQUIRE(statvfs(files().path("").c_str(), &mount) == 0);
  if (!is_root() || (mount.f_flag & ST_NOSUID) != 0) {
    MESSAGE("skip: needs root, and /tmp without nosuid");
    return;
  }
  std::string path =
      files().write("program", std::string(std::filesystem::file_size("/bin/true"), '\0'), 0755);
  std::filesystem::copy_file("/bin/true", path, std::filesystem::copy_options::overwrite_existing);
  auto codes_with = [&](uid_t uid, gid_t gid, mode_t mode) {
    REQUIRE(chown(path.c_str(), uid, gid) == 0);
    REQUIRE(chmod(path.c_str(), mode) == 0);
    return command_codes(path);
  };
  CHECK(codes_with(kNobody, 0, 0755).empty());
  CHECK(codes_with(kNobody, 0, 04755) == Codes{"SETUID"});
  CHECK(codes_with(0, 0, 04755).empty());  // no change for this user
  CHECK(codes_with(0, kNobody, 02755) == Codes{"SETUID"});
  CHECK(codes_with(0, 0, 06755).empty());
}

}  // namespace
}  // namespace om
