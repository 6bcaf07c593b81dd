// SPDX-License-Identifier: Apache-2.0
//
// common/proc/maps.h and smaps.h: every kind of mapping as kernels print it, names that programs
// choose to confuse a parser, malformed text, and this process's own list against mappings made
// here.
#include <doctest/doctest.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <random>
#include <string>

#include "common/base/unique_fd.h"
#include "common/proc/maps.h"
#include "common/proc/smaps.h"

namespace om::proc {
namespace {

constexpr size_t kPage = 4096;

Mapping parse(std::string_view line) {
  Result<Mapping> map = parse_maps_line(line);
  REQUIRE_MESSAGE(map.ok(), std::string(line));
  return *map;
}

MapKind kind_of(std::string_view tail) {
  return parse("7f0000000000-7f0000001000 " + std::string(tail)).kind;
}

// This process's entry that begins at `address`.
SmapsEntry own_entry(const void* address) {
  Result<std::vector<SmapsEntry>> entries = read_smaps(getpid());
  REQUIRE(entries.ok());
  for (const SmapsEntry& entry : *entries) {
    if (entry.map.start == reinterpret_cast<uint64_t>(address)) return entry;
  }
  FAIL("no such mapping");
  return {};
}

void* map_or_fail(int prot, int flags, int fd, size_t size = kPage) {
  void* address = mmap(nullptr, size, prot, flags, fd, 0);
  REQUIRE(address != MAP_FAILED);
  return address;
}

TEST_CASE("a line gives all its fields") {
  Mapping map = parse(
      "7f5c1a200000-7f5c1a228000 r-xp 00028000 fe:01 1835011                    "
      "/usr/lib/libc.so.6");
  CHECK(map.start == 0x7f5c1a200000);
  CHECK(map.end == 0x7f5c1a228000);
  CHECK(map.size() == 0x28000);
  CHECK(map.prot == (PROT_READ | PROT_EXEC));
  CHECK_FALSE(map.shared);
  CHECK_FALSE(map.deleted);
  CHECK(map.offset == 0x28000);
  CHECK(map.dev_major == 0xfe);
  CHECK(map.dev_minor == 1);
  CHECK(map.inode == 1835011);
  CHECK(map.path == "/usr/lib/libc.so.6");
  CHECK(map.basename() == "libc.so.6");
  CHECK(map.kind == MapKind::kFile);
}

TEST_CASE("kinds") {
  CHECK(kind_of("rw-p 00000000 00:00 0 ") == MapKind::kAnon);
  CHECK(kind_of("rw-p 00000000 00:00 0") == MapKind::kAnon);
  CHECK(kind_of("rw-p 00000000 00:00 0   [heap]") == MapKind::kHeap);
  CHECK(kind_of("rw-p 00000000 00:00 0   [stack]") == MapKind::kStack);
  CHECK(kind_of("r--p 00000000 00:00 0   [vvar]") == MapKind::kVvar);
  CHECK(kind_of("r--p 00000000 00:00 0   [vvar_vclock]") == MapKind::kVvar);
  CHECK(kind_of("r-xp 00000000 00:00 0   [vdso]") == MapKind::kVdso);
  CHECK(kind_of("--xp 00000000 00:00 0   [uprobes]") == MapKind::kSpecialOther);
  CHECK(kind_of("rw-p 00000000 00:00 0   [anon:a name]") == MapKind::kAnon);
  CHECK(kind_of("rw-s 00000000 00:01 77  [anon_shmem:a name]") == MapKind::kAnonShared);
  CHECK(kind_of("rw-s 00000000 00:01 77  /dev/zero (deleted)") == MapKind::kAnonShared);
  CHECK(kind_of("rw-p 00000000 00:06 5   /dev/zero") == MapKind::kAnon);
  CHECK(kind_of("rw-s 00000000 00:01 3   /SYSV0000002a (deleted)") == MapKind::kSysvShm);
  CHECK(kind_of("rw-s 00000000 00:01 78  /memfd:pool (deleted)") == MapKind::kMemFd);
  CHECK(kind_of("rw-p 00000000 00:10 9   /anon_hugepage (deleted)") == MapKind::kHugetlb);
  CHECK(kind_of("rw-s 00000000 00:1a 9   /dev/hugepages/pool") == MapKind::kHugetlb);
  CHECK(kind_of("rw-s 00000000 00:06 9   /dev/dri/card0") == MapKind::kDevice);
  CHECK(kind_of("rw-s 00000000 00:0f 2   anon_inode:[io_uring]") == MapKind::kDevice);
  CHECK(kind_of("rw-s 00000000 00:0f 2   anon_inode:[perf_event]") == MapKind::kDevice);
  CHECK(kind_of("rw-s 00000000 00:09 812 socket:[812]") == MapKind::kDevice);
  CHECK(kind_of("rw-s 00000000 00:11 4   /[aio] (deleted)") == MapKind::kDevice);
  CHECK(kind_of("rw-s 00000000 00:12 4   /secretmem (deleted)") == MapKind::kDevice);
  CHECK(kind_of("rw-s 00000000 00:19 4   /dev/shm/pool") == MapKind::kFile);
  CHECK(kind_of("r--s 00000000 fe:01 4   /usr/lib/gconv/gconv-modules.cache") == MapKind::kFile);
  CHECK(kind_of("r--p 00000000 fe:01 4   (unreachable)/x") == MapKind::kFile);
  CHECK(parse("ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]")
            .kind == MapKind::kVsyscall);
}

TEST_CASE("files on a disk that are named like the kernel's own stay files") {
  CHECK(kind_of("rw-s 00000000 fe:01 9   /memfd:pool (deleted)") == MapKind::kFile);
  CHECK(kind_of("rw-s 00000000 fe:01 9   /SYSV0000002a (deleted)") == MapKind::kFile);
  CHECK(kind_of("rw-s 00000000 00:19 9   /memfd:pool") == MapKind::kFile);
  CHECK(kind_of("rw-s 00000000 fe:01 9   /[aio]") == MapKind::kFile);
  CHECK(kind_of("rw-s 00000000 fe:01 9   /tmp/[heap]") == MapKind::kFile);
}

TEST_CASE("names keep blanks and newlines, and lose the kernel's suffix") {
  std::string head = "1000-2000 r--p 00000000 fe:01 9 ";
  CHECK(parse(head + "/tmp/a b  c ").path == "/tmp/a b  c ");
  CHECK(parse(head + "/tmp/a\\012b").path == "/tmp/a\nb");
  CHECK(parse(head + "/tmp/a\\0123").path == "/tmp/a\n3");
  CHECK(parse(head + "/tmp/a\\\\012").path == "/tmp/a\\\n");
  CHECK(parse(head + "/tmp/a\\").path == "/tmp/a\\");
  Mapping gone = parse(head + "/tmp/x (deleted)");
  CHECK(gone.path == "/tmp/x");
  CHECK(gone.deleted);
  CHECK(parse(head + "/tmp/ (deleted) (deleted)").path == "/tmp/ (deleted)");
  CHECK(parse(head + "/tmp/1000-2000 rw-s 00000000 00:01 9 /dev/zero").path ==
        "/tmp/1000-2000 rw-s 00000000 00:01 9 /dev/zero");
}

TEST_CASE("malformed lines are errors") {
  for (std::string_view line : {"",
                                " ",
                                "1000",
                                "1000-",
                                "-2000",
                                "1000-2000",
                                "1000-2000 r--p",
                                "1000-2000 r--p 0",
                                "1000-2000 r--p 0 fe:01",
                                "1000-2000 r--p 0 fe01 9 /x",
                                "1000-2000 r--p 0 fe:01 x /x",
                                "1000-2000 r-- 0 fe:01 9",
                                "1000-2000 r--ps 0 fe:01 9",
                                "1000-2000 w--p 0 fe:01 9",
                                "1000-2000 r--q 0 fe:01 9",
                                "2000-1000 r--p 0 fe:01 9",
                                "1000-1000 r--p 0 fe:01 9",
                                "1001-2000 r--p 0 fe:01 9",
                                "1000-2001 r--p 0 fe:01 9",
                                "0x1000-2000 r--p 0 fe:01 9",
                                "1000-2000 r--p -1 fe:01 9",
                                "1000-2000 r--p 0 fe:01 -9",
                                "10000000000000000-20000000000000000 r--p 0 fe:01 9",
                                "1000-2000 r--p 0 fffffffff:01 9",
                                "1000-2000 r--p 0 fe:01 99999999999999999999"}) {
    Result<Mapping> map = parse_maps_line(line);
    CHECK_MESSAGE(!map.ok(), std::string(line));
    if (!map) CHECK(map.error().err == EBADMSG);
  }
}

TEST_CASE("lists ascend") {
  CHECK(parse_maps("")->empty());
  CHECK(parse_maps("1000-2000 r--p 0 00:00 0\n2000-3000 r--p 0 00:00 0\n")->size() == 2);
  CHECK(parse_maps("1000-2000 r--p 0 00:00 0\n2000-3000 r--p 0 00:00 0")->size() == 2);
  CHECK_FALSE(parse_maps("1000-3000 r--p 0 00:00 0\n2000-3000 r--p 0 00:00 0\n").ok());
  CHECK_FALSE(parse_maps("2000-3000 r--p 0 00:00 0\n1000-2000 r--p 0 00:00 0\n").ok());
  CHECK_FALSE(parse_maps("1000-2000 r--p 0 00:00 0\n\n").ok());
  std::vector<Mapping> maps = *parse_maps("1000-2000 r--p 0 00:00 0\n4000-6000 r--p 0 00:00 0\n");
  CHECK(find_mapping(maps, 0xfff) == nullptr);
  CHECK(find_mapping(maps, 0x1000) == &maps[0]);
  CHECK(find_mapping(maps, 0x1fff) == &maps[0]);
  CHECK(find_mapping(maps, 0x2000) == nullptr);
  CHECK(find_mapping(maps, 0x5000) == &maps[1]);
  CHECK(find_mapping(maps, 0x6000) == nullptr);
  CHECK(find_mapping({}, 0x6000) == nullptr);
}

TEST_CASE("a mapping that grows while the text is made replaces what it covers") {
  std::vector<Mapping> cut = *parse_maps("1000-3000 r--p 0 00:00 0\n2000-4000 rw-p 0 00:00 0\n");
  REQUIRE(cut.size() == 2);
  CHECK(cut[0].end == 0x2000);
  CHECK(cut[1].end == 0x4000);
  std::vector<Mapping> gone = *parse_maps(
      "1000-2000 r--p 0 00:00 0\n3000-4000 r--p 0 00:00 0\n4000-5000 ---p 0 00:00 0\n3000-6000 "
      "rw-p 0 00:00 0\n");
  REQUIRE(gone.size() == 2);
  CHECK(gone[1].start == 0x3000);
  CHECK((gone[1].prot & PROT_WRITE) != 0);
  std::vector<SmapsEntry> entries = *parse_smaps(
      "1000-3000 r--p 0 00:00 0\nRss: 8 kB\n1000-4000 rw-p 0 00:00 0\nRss: 12 kB\n5000-6000 r--p 0 "
      "00:00 0\n");
  REQUIRE(entries.size() == 2);
  CHECK(entries[0].rss_bytes == 12288);
}

TEST_CASE("mutated text gives an error or a list that ascends, never a crash") {
  std::string good = *read_text("/proc/self/smaps");
  std::minstd_rand random(1);
  for (int round = 0; round < 300; ++round) {
    std::string text = good.substr(0, 4000);
    for (int i = 0; i < 4; ++i) text[random() % text.size()] = static_cast<char>(random());
    text.resize(random() % (text.size() + 1));
    Result<std::vector<SmapsEntry>> entries = parse_smaps(text);
    if (!entries) continue;
    for (size_t i = 0; i < entries->size(); ++i) {
      CHECK((*entries)[i].map.start < (*entries)[i].map.end);
      if (i > 0) CHECK((*entries)[i - 1].map.end <= (*entries)[i].map.start);
    }
  }
}

TEST_CASE("smaps attributes") {
  Result<std::vector<SmapsEntry>> entries = parse_smaps(
      "1000-3000 rw-p 00000000 00:00 0                          [heap]\n"
      "Size:                  8 kB\nKernelPageSize:        4 kB\nRss:                   8 kB\n"
      "Anonymous:             4 kB\nAnonHugePages:         0 kB\nSwap:                 12 kB\n"
      "Locked:                8 kB\nTHPeligible:           0\nProtectionKey:         7\n"
      "VmFlags: rd wr mr mw me ac sd \n"
      "5000-6000 r--p 00000000 00:00 0                          [vvar]\n"
      "VmFlags: rd mr pf io de dd sd\n");
  REQUIRE(entries.ok());
  REQUIRE(entries->size() == 2);
  const SmapsEntry& heap = (*entries)[0];
  CHECK(heap.map.kind == MapKind::kHeap);
  CHECK(heap.kernel_page_bytes == 4096);
  CHECK(heap.rss_bytes == 8192);
  CHECK(heap.anonymous_bytes == 4096);
  CHECK(heap.swap_bytes == 12288);
  CHECK(heap.locked_bytes == 8192);
  CHECK(heap.protection_key == 7);
  for (const char* flag : {"rd", "wr", "mr", "mw", "me", "ac", "sd"}) CHECK(heap.flags.has(flag));
  for (const char* flag : {"io", "ht", "d ", " w", "r", ""}) CHECK_FALSE(heap.flags.has(flag));
  CHECK((*entries)[1].flags.has("io"));
  CHECK((*entries)[1].flags.has("sd"));
  CHECK((*entries)[1].protection_key == 0);
  CHECK_FALSE(VmFlags().has("rd"));

  CHECK_FALSE(parse_smaps("Rss: 8 kB\n").ok());
  for (const char* line :
       {"Rss: 8\n", "Rss: x kB\n", "Rss: 8 MB\n", "Swap: 99999999999999999999 kB\n",
        "Locked: 18446744073709551615 kB\n", "ProtectionKey: -1\n", "no line\n"}) {
    CHECK_MESSAGE(!parse_smaps("1000-2000 rw-p 0 00:00 0\n" + std::string(line)).ok(), line);
  }
}

TEST_CASE("own mappings are recognised") {
  char file_name[] = "/tmp/om-maps-test-XXXXXX";
  UniqueFd file(mkstemp(file_name));
  REQUIRE(file.valid());
  REQUIRE(ftruncate(file.get(), 2 * kPage) == 0);
  struct stat info;
  REQUIRE(fstat(file.get(), &info) == 0);

  void* shared = map_or_fail(PROT_READ | PROT_WRITE, MAP_SHARED, file.get());
  SmapsEntry entry = own_entry(shared);
  CHECK(entry.map.kind == MapKind::kFile);
  CHECK(entry.map.shared);
  CHECK(entry.map.path == file_name);
  CHECK(entry.map.inode == info.st_ino);
  CHECK(entry.flags.has("mw"));
  CHECK(entry.flags.has("ms"));
  REQUIRE(unlink(file_name) == 0);
  entry = own_entry(shared);
  CHECK(entry.map.deleted);
  CHECK(entry.map.path == file_name);
  CHECK(munmap(shared, kPage) == 0);

  void* anonymous = map_or_fail(PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
  CHECK(own_entry(anonymous).map.kind == MapKind::kAnonShared);
  CHECK(munmap(anonymous, kPage) == 0);

  UniqueFd zero(open("/dev/zero", O_RDWR | O_CLOEXEC));
  REQUIRE(zero.valid());
  void* private_zero = map_or_fail(PROT_READ | PROT_WRITE, MAP_PRIVATE, zero.get());
  CHECK(own_entry(private_zero).map.kind == MapKind::kAnon);
  CHECK(munmap(private_zero, kPage) == 0);
  void* shared_zero = map_or_fail(PROT_READ | PROT_WRITE, MAP_SHARED, zero.get());
  CHECK(own_entry(shared_zero).map.kind == MapKind::kAnonShared);
  CHECK(munmap(shared_zero, kPage) == 0);

  UniqueFd memory(memfd_create("a name", MFD_CLOEXEC));
  REQUIRE(memory.valid());
  REQUIRE(ftruncate(memory.get(), kPage) == 0);
  void* mapped = map_or_fail(PROT_READ, MAP_PRIVATE, memory.get());
  entry = own_entry(mapped);
  CHECK(entry.map.kind == MapKind::kMemFd);
  CHECK(entry.map.path == "/memfd:a name");
  CHECK_FALSE(entry.map.shared);
  CHECK(munmap(mapped, kPage) == 0);

  int segment = shmget(IPC_PRIVATE, kPage, 0600);
  if (segment < 0 && errno == ENOSYS) {
    MESSAGE("skip: kernel without System V shared memory");
    return;
  }
  REQUIRE(segment >= 0);
  void* attached = shmat(segment, nullptr, 0);
  shmctl(segment, IPC_RMID, nullptr);
  REQUIRE(attached != reinterpret_cast<void*>(-1));
  entry = own_entry(attached);
  CHECK(entry.map.kind == MapKind::kSysvShm);
  CHECK(entry.map.inode == static_cast<uint64_t>(segment));
  CHECK(shmdt(attached) == 0);
}

TEST_CASE("a file name with a newline comes back whole") {
  std::string directory = "/tmp/om-maps-test-XXXXXX";
  REQUIRE(mkdtemp(directory.data()) != nullptr);
  std::string path = directory + "/a\nb (x)";
  {
    UniqueFd file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    REQUIRE(file.valid());
    REQUIRE(ftruncate(file.get(), kPage) == 0);
    void* mapped = map_or_fail(PROT_READ, MAP_PRIVATE, file.get());
    CHECK(own_entry(mapped).map.path == path);
    CHECK(munmap(mapped, kPage) == 0);
  }
  CHECK(unlink(path.c_str()) == 0);
  CHECK(rmdir(directory.c_str()) == 0);
}

TEST_CASE("protection and locking show") {
  // Between two inaccessible pages, so that the kernel cannot merge it with its neighbours.
  constexpr size_t kSize = 3 * kPage;
  auto* area = static_cast<char*>(map_or_fail(PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, kSize));
  char* page = area + kPage;
  REQUIRE(mprotect(page, kPage, PROT_READ | PROT_WRITE) == 0);
  CHECK(own_entry(page).map.prot == (PROT_READ | PROT_WRITE));
  CHECK(own_entry(page + kPage).map.prot == PROT_NONE);
  // Not through the C library: sanitizers make mlock() do nothing.
  if (syscall(SYS_mlock, page, kPage) == 0) {
    SmapsEntry entry = own_entry(page);
    CHECK(entry.map.size() == kPage);
    CHECK(entry.locked_bytes == kPage);
    CHECK(entry.flags.has("lo"));
  } else {
    MESSAGE("skip: RLIMIT_MEMLOCK forbids mlock");
  }
  CHECK(munmap(area, kSize) == 0);
}

TEST_CASE("a process that does not exist") {
  Result<std::vector<Mapping>> maps = read_maps(0x3fffffff);
  REQUIRE_FALSE(maps.ok());
  CHECK(maps.error().err == ESRCH);
  CHECK(read_smaps(0x3fffffff).error().err == ESRCH);
}

}  // namespace
}  // namespace om::proc
