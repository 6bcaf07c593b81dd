// SPDX-License-Identifier: Apache-2.0
//
// dlopen, dlsym and dlclose after the move: new file mappings, relocations and constructors.
#include "test/lib/om_test.h"

#include <dlfcn.h>
#include <stdio.h>

int main() {
  om_test_ready();
  om_test_wait_moved();
  for (int i = 0; i < 3; ++i) {
    void* library = dlopen("libresolv.so.2", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) om_test_skip("no libresolv.so.2");
    OM_CHECK(dlsym(library, "no_such_symbol_here") == nullptr);
    OM_CHECK(dlsym(library, "ns_initparse") != nullptr);
    OM_CHECK_EQ(dlclose(library), 0);
  }
  puts("loaded");
}
