// SPDX-License-Identifier: Apache-2.0
//
// Threads allocate, fill, check and free without pause, so that a move meets them inside malloc.
#include "test/lib/om_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <atomic>

static std::atomic<bool> g_moved{false};

static void churn(unsigned seed) {
  struct Block {
    unsigned char* data;
    size_t bytes;
  } blocks[64] = {};
  for (unsigned round = 0; round < 5000 || !g_moved; ++round) {
    Block& block = blocks[rand_r(&seed) % 64];
    for (size_t i = 0; i < block.bytes; ++i) OM_CHECK_EQ(block.data[i], block.bytes & 255);
    free(block.data);
    block.bytes = 1 + static_cast<size_t>(rand_r(&seed)) % (round % 16 == 0 ? 200000 : 500);
    block.data = static_cast<unsigned char*>(malloc(block.bytes));
    OM_CHECK(block.data != nullptr);
    memset(block.data, static_cast<int>(block.bytes & 255), block.bytes);
  }
  for (Block& block : blocks) free(block.data);
}

int main() {
  om_test_ready();
  OmThread one([] { churn(1); });
  OmThread two([] { churn(2); });
  OmThread three([] { churn(3); });
  om_test_wait_moved();
  g_moved = true;
  for (OmThread* thread : {&one, &two, &three}) thread->join();
  puts("done");
}
