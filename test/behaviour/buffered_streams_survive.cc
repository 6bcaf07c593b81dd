// SPDX-License-Identifier: Apache-2.0
//
// stdio and iostream buffers that are half full or half read during the move lose and repeat
// nothing.
#include "test/lib/om_test.h"

#include <stdio.h>
#include <fstream>
#include <iostream>
#include <string>

int main() {
  {
    std::ofstream make("lines");
    for (int i = 0; i < 2000; ++i) make << "line " << i << '\n';
  }
  FILE* in = fopen("lines", "r");
  std::ifstream stream("lines");
  FILE* out = fopen("copy", "w+");
  OM_CHECK(in != nullptr && out != nullptr && stream.good());
  char line[64];
  std::string text;
  for (int i = 0; i < 2000; ++i) {
    OM_CHECK(fgets(line, sizeof line, in) != nullptr);
    OM_CHECK(std::getline(stream, text));
    OM_CHECK(text + "\n" == line);
    OM_CHECK(fputs(line, out) >= 0);
    printf("%s", i % 100 == 0 ? line : "");
    if (i == 777) {
      om_test_ready();
      om_test_wait_moved();
    }
  }
  OM_CHECK(fgets(line, sizeof line, in) == nullptr && feof(in));
  OM_CHECK_EQ(fclose(out), 0);
  std::cout << "streams done" << std::endl;
}
