// SPDX-License-Identifier: Apache-2.0
//
// Code that the program wrote into memory before the move runs after it, and so does code written
// then.
#include "test/lib/om_test.h"

#include <string.h>
#include <sys/mman.h>

// mov eax, imm32; ret
static void emit(unsigned char* where, int value) {
  where[0] = 0xb8;
  memcpy(where + 1, &value, 4);
  where[5] = 0xc3;
}

int main() {
  void* map =
      OM_SYS(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  unsigned char* code = static_cast<unsigned char*>(map);
  auto first = reinterpret_cast<int (*)()>(code);
  auto second = reinterpret_cast<int (*)()>(code + 4096);
  emit(code, 1234);
  OM_SYS(mprotect(code, 4096, PROT_READ | PROT_EXEC));
  OM_CHECK_EQ(first(), 1234);
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(first(), 1234);
  emit(code + 4096, 99);
  OM_SYS(mprotect(code + 4096, 4096, PROT_READ | PROT_EXEC));
  OM_CHECK_EQ(second(), 99);
}
