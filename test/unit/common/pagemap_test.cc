// SPDX-License-Identifier: Apache-2.0
//
// common/proc/pagemap.h, exact to the page on a living child: it touches chosen pages of chosen
// mappings and waits; the runs read from outside must be those pages and no others.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <random>
#include <set>
#include <vector>

#include "common/proc/pagemap.h"
#include "libom/abi/layout.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

namespace om::proc {
namespace {

constexpr uint64_t kPage = 4096;
constexpr size_t kPages = 3000;  // more than five batches

// A child that has run `work` and waits. What `work` uses is mapped before the fork, so both know where it is.
class Child {
 public:
  explicit Child(const std::function<bool()>& work) {
    int fds[2];
    REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
    UniqueFd in(fds[0]), out(fds[1]);
    pid_ = fork();
    if (pid_ == 0) {
      char ok = work() ? 'y' : 'n';
      if (write(out.get(), &ok, 1) != 1) _exit(1);
      for (;;) pause();
    }
    out.reset();
    char answer = 0;
    good_ = read(in.get(), &answer, 1) == 1 && answer == 'y';
  }
  ~Child() { end(); }
  void end() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  pid_t pid() const { return pid_; }
  bool good() const { return good_; }

 private:
  pid_t pid_ = 0;
  bool good_ = false;
};

struct Area {
  explicit Area(int prot, int flags, int fd = -1, size_t pages = kPages) : bytes(pages * kPage) {
    address = static_cast<char*>(mmap(nullptr, bytes, prot, flags, fd, 0));
    REQUIRE(address != MAP_FAILED);
    // Huge pages would also bring in neighbours of a touched page.
    madvise(address, bytes, MADV_NOHUGEPAGE);
  }
  ~Area() { munmap(address, bytes); }
  Area(const Area&) = delete;
  Area& operator=(const Area&) = delete;
  uint64_t at(size_t page) const { return reinterpret_cast<uint64_t>(address) + page * kPage; }

  size_t bytes;
  char* address = nullptr;
};

// What the child touches, as runs.
std::vector<PageRun> runs_of(const Area& area, const std::set<size_t>& pages, bool file) {
  std::vector<PageRun> runs;
  for (size_t page : pages) {
    if (!runs.empty() && runs.back().end == area.at(page)) {
      runs.back().end += kPage;
    } else {
      runs.push_back(PageRun{area.at(page), area.at(page + 1), file, false});
    }
  }
  return runs;
}

// In both ways, which must agree.
std::vector<PageRun> read_runs(pid_t pid, uint64_t start, uint64_t end) {
  std::vector<PageRun> found[2];
  for (const PagemapWay way : {PagemapWay::kBest, PagemapWay::kSmaps}) {
    Result<Pagemap> pagemap = Pagemap::open(pid, way);
    REQUIRE(pagemap.ok());
    Result<std::vector<PageRun>> runs = pagemap->runs(start, end);
    REQUIRE(runs.ok());
    found[way == PagemapWay::kSmaps] = *runs;
  }
  CHECK(found[0] == found[1]);
  return found[0];
}

// Batch borders and their neighbours, single pages, long runs, first and last page.
std::set<size_t> interesting_pages() {
  std::set<size_t> pages = {0, 2, 3, 510, 511, 512, 513, 1023, 1536, 2048, 2900, kPages - 1};
  for (size_t page = 1100; page < 1700; ++page) pages.insert(page);
  std::minstd_rand random(7);
  for (int i = 0; i < 200; ++i) pages.insert(random() % kPages);
  return pages;
}

TEST_CASE("private memory: exactly the touched pages") {
  Area area(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
  std::set<size_t> pages = interesting_pages();
  Child child([&] {
    for (size_t page : pages) area.address[page * kPage] = 1;
    return true;
  });
  REQUIRE(child.good());
  CHECK(read_runs(child.pid(), area.at(0), area.at(kPages)) == runs_of(area, pages, false));
  CHECK(read_runs(getpid(), area.at(0), area.at(kPages)).empty());
  CHECK(read_runs(child.pid(), area.at(4), area.at(4)).empty());
  CHECK(read_runs(child.pid(), area.at(511), area.at(512)) == runs_of(area, {511}, false));
  // A range that ends inside a run is cut there.
  CHECK(read_runs(child.pid(), area.at(1200), area.at(1300)) ==
        std::vector<PageRun>{PageRun{area.at(1200), area.at(1300), false, false}});
}

TEST_CASE("given-back pages are gone") {
  Area area(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
  Child child([&] {
    memset(area.address, 1, area.bytes);
    return madvise(area.address + 10 * kPage, 20 * kPage, MADV_DONTNEED) == 0;
  });
  REQUIRE(child.good());
  CHECK(read_runs(child.pid(), area.at(0), area.at(kPages)) ==
        std::vector<PageRun>{PageRun{area.at(0), area.at(10), false, false},
                             PageRun{area.at(30), area.at(kPages), false, false}});
}

TEST_CASE("memory that may not be read shows its pages all the same") {
  Area area(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
  Child child([&] {
    area.address[5 * kPage] = 1;
    return mprotect(area.address, area.bytes, PROT_NONE) == 0;
  });
  REQUIRE(child.good());
  CHECK(read_runs(child.pid(), area.at(0), area.at(kPages)) == runs_of(area, {5}, false));
}

TEST_CASE("private file mapping: own copies told from page cache") {
  char name[] = "/tmp/om-pagemap-test-XXXXXX";
  UniqueFd file(mkstemp(name));
  REQUIRE(file.valid());
  REQUIRE(unlink(name) == 0);
  constexpr size_t kFilePages = 64;
  std::vector<char> content(kFilePages * kPage, 'x');
  REQUIRE(write(file.get(), content.data(), content.size()) ==
          static_cast<ssize_t>(content.size()));
  Area area(PROT_READ | PROT_WRITE, MAP_PRIVATE, file.get(), kFilePages);
  Child child([&] {
    // A read fault also brings in neighbours, which MADV_RANDOM does not prevent, so read in the whole file first.
    if (madvise(area.address, area.bytes, MADV_POPULATE_READ) != 0) return false;
    for (size_t page : {3, 4, 20}) area.address[page * kPage] = 'y';
    return true;
  });
  if (!child.good()) {
    MESSAGE("skip: kernel without MADV_POPULATE_READ");
    return;
  }
  CHECK(read_runs(child.pid(), area.at(0), area.at(kFilePages)) ==
        std::vector<PageRun>{PageRun{area.at(0), area.at(3), true, false},
                             PageRun{area.at(3), area.at(5), false, false},
                             PageRun{area.at(5), area.at(20), true, false},
                             PageRun{area.at(20), area.at(21), false, false},
                             PageRun{area.at(21), area.at(kFilePages), true, false}});
}

TEST_CASE("shared memory counts as file") {
  Area area(PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
  Child child([&] {
    area.address[1 * kPage] = 1;
    area.address[600 * kPage] = 1;
    return true;
  });
  REQUIRE(child.good());
  CHECK(read_runs(child.pid(), area.at(0), area.at(kPages)) == runs_of(area, {1, 600}, true));
}

TEST_CASE("guard pages are told from memory") {
  Area area(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
  Child child([&] {
    area.address[7 * kPage] = 1;
    area.address[10 * kPage] = 1;
    return madvise(area.address + 8 * kPage, 2 * kPage, MADV_GUARD_INSTALL) == 0;
  });
  if (!child.good()) {
    MESSAGE("skip: kernel without guard pages (6.13)");
    return;
  }
  std::vector<PageRun> runs = read_runs(child.pid(), area.at(0), area.at(kPages));
  if (runs.size() == 1) {
    MESSAGE("skip: kernel does not tell guard pages apart (6.15)");
    return;
  }
  CHECK(runs == std::vector<PageRun>{PageRun{area.at(7), area.at(8), false, false},
                                     PageRun{area.at(8), area.at(10), false, true},
                                     PageRun{area.at(10), area.at(11), false, false}});
}

TEST_CASE("runs join over neighbouring mappings, holes end them") {
  Area area(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 8);
  Child child([&] {
    memset(area.address, 1, area.bytes);
    return mprotect(area.address + 2 * kPage, kPage, PROT_READ) == 0 &&
           munmap(area.address + 5 * kPage, kPage) == 0;
  });
  REQUIRE(child.good());
  CHECK(read_runs(child.pid(), area.at(0), area.at(8)) ==
        std::vector<PageRun>{PageRun{area.at(0), area.at(5), false, false},
                             PageRun{area.at(6), area.at(8), false, false}});
}

TEST_CASE("reserved terabytes are stepped over") {
  constexpr size_t kReserved = size_t{8} << 40 >> 12, kFilled = kReserved / 2;
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  Area area(PROT_NONE, kFlags, -1, kReserved);
  Child child([&] {
    char* page = area.address + kFilled * kPage;
    if (mprotect(page, kPage, PROT_READ | PROT_WRITE) != 0) return false;
    *page = 1;
    return true;
  });
  REQUIRE(child.good());
  CHECK(read_runs(child.pid(), area.at(0), area.at(kReserved)) == runs_of(area, {kFilled}, false));
}

TEST_CASE("a long range is looked through in slices") {
  constexpr size_t kMany = kPagemapSlice + 1000;
  Area area(PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, kMany);
  Child child([&] { return madvise(area.address, area.bytes, MADV_POPULATE_READ) == 0; });
  if (!child.good()) {
    MESSAGE("skip: kernel without MADV_POPULATE_READ");
    return;
  }
  Result<Pagemap> pagemap = Pagemap::open(child.pid());
  REQUIRE(pagemap.ok());
  std::vector<PageRun> runs;
  CHECK(*pagemap->some_runs(area.at(0), area.at(kMany), runs) == area.at(kPagemapSlice));
  CHECK(*pagemap->some_runs(area.at(kPagemapSlice), area.at(kMany), runs) == area.at(kMany));
  CHECK(runs ==
        std::vector<PageRun>{PageRun{area.at(0), area.at(kPagemapSlice), false, false},
                             PageRun{area.at(kPagemapSlice), area.at(kMany), false, false}});
}

TEST_CASE("bad ranges and ended processes are errors") {
  Area area(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 8);
  Child child([] { return true; });
  REQUIRE(child.good());
  Result<Pagemap> pagemap = Pagemap::open(child.pid());
  REQUIRE(pagemap.ok());
  CHECK(pagemap->runs(area.at(0) + 1, area.at(1)).error().err == EINVAL);
  CHECK(pagemap->runs(area.at(0), area.at(1) - 1).error().err == EINVAL);
  CHECK(pagemap->runs(area.at(1), area.at(0)).error().err == EINVAL);
  CHECK(pagemap->runs(0xffffffffff600000, 0xffffffffff601000).error().err == EINVAL);
  child.end();
  CHECK(pagemap->runs(area.at(0), area.at(1)).error().err == ESRCH);
  CHECK(Pagemap::open(0x3fffffff).error().err == ESRCH);
}

}  // namespace
}  // namespace om::proc
