// SPDX-License-Identifier: Apache-2.0
//
// Makes om-migrator-other out of om-migrator: it speaks the version that OM_TEST_PROTOCOL says, "MAJOR.MINOR". Linked
// in place of common/base/protocol.cc; nothing reads these numbers before main().
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/version.h"

namespace {

struct Version {
  unsigned major = 0, minor = 0;
};

Version from_environment() {
  Version version;
  const char* text = ::getenv("OM_TEST_PROTOCOL");
  if (text == nullptr || ::sscanf(text, "%u.%u", &version.major, &version.minor) != 2) {
    ::fputs("om-migrator-other: OM_TEST_PROTOCOL is not MAJOR.MINOR\n", stderr);
    ::_exit(2);
  }
  return version;
}

const Version kVersion = from_environment();

}  // namespace

namespace om {

extern const uint32_t kProtocolMajor = kVersion.major;
extern const uint32_t kProtocolMinor = kVersion.minor;
extern const uint32_t kProtocol = kVersion.major << 16 | kVersion.minor;

}  // namespace om
