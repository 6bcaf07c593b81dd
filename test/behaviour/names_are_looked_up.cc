// SPDX-License-Identifier: Apache-2.0
//
// Look-ups of users, groups, addresses and character sets after the move: they load libraries and
// read system files.
#include "test/lib/om_test.h"

#include <arpa/inet.h>
#include <grp.h>
#include <iconv.h>
#include <netdb.h>
#include <pwd.h>
#include <string.h>

int main() {
  om_test_ready();
  om_test_wait_moved();
  passwd* user = getpwuid(0);
  OM_CHECK(user != nullptr);
  OM_CHECK_EQ(static_cast<const char*>(user->pw_name), "root");
  group* group = getgrgid(0);
  OM_CHECK(group != nullptr);
  OM_CHECK_EQ(static_cast<const char*>(group->gr_name), "root");
  addrinfo hints{}, *found = nullptr;
  hints.ai_flags = AI_NUMERICHOST;
  hints.ai_family = AF_INET;
  OM_CHECK_EQ(getaddrinfo("127.0.0.3", "80", &hints, &found), 0);
  auto* address = reinterpret_cast<sockaddr_in*>(found->ai_addr);
  OM_CHECK_EQ(ntohl(address->sin_addr.s_addr), 0x7f000003);
  freeaddrinfo(found);
  iconv_t converter = iconv_open("UTF-16LE", "UTF-8");
  OM_CHECK(reinterpret_cast<intptr_t>(converter) != -1);
  char in[] = "a\xc3\xa4", out[8] = {}, *from = in, *to = out;
  size_t left = 3, room = sizeof out;
  OM_CHECK_EQ(iconv(converter, &from, &left, &to, &room), 0);
  OM_CHECK(memcmp(out, "a\0\xe4\0", 4) == 0);
  iconv_close(converter);
}
