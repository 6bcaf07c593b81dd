// SPDX-License-Identifier: Apache-2.0
//
// Ranges of memory that do not begin with a page are EINVAL for the calls that change mappings, wherever the page
// lies and whatever is behind it: the lowest mappings of all have memory of libom's directly above them.
#include "test/lib/om_test.h"

#include <string.h>
#include <sys/mman.h>

#include <vector>

static constexpr size_t kPage = 4096;

static void check_page(char* page) {
  char* const odd = page + 1;
  const auto is_invalid = [](long result) {
    OM_CHECK_EQ(result, -1);
    OM_CHECK_EQ(errno, EINVAL);
  };
  is_invalid(madvise(odd, kPage, MADV_DONTFORK));
  is_invalid(madvise(odd, kPage, MADV_NORMAL));
  is_invalid(mprotect(odd, kPage, PROT_READ));
  is_invalid(munmap(odd, kPage));
  is_invalid(reinterpret_cast<long>(mremap(odd, kPage, kPage, 0)));
  is_invalid(reinterpret_cast<long>(
      mmap(odd, kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)));
  OM_CHECK_EQ(page[0], 'p');
}

int main() {
  std::vector<char*> pages;
  auto map_more = [&] {
    for (int i = 0; i < 16; i++) {
      // Two protections in turn: neighbours stay mappings of their own.
      void* page = mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      OM_CHECK(page != MAP_FAILED);
      memset(page, 'p', kPage);
      if (i % 2 == 0) OM_SYS(mprotect(page, kPage, PROT_READ));
      pages.push_back(static_cast<char*>(page));
    }
  };
  map_more();
  om_test_ready();
  om_test_wait_moved();
  map_more();
  for (char* page : pages) check_page(page);
}
