// SPDX-License-Identifier: Apache-2.0
//
// What one record costs: sealed and opened by libom (libom/safe/seal.h, compiled as in libom.so) and by OpenSSL as the
// daemons use it (common/tls/record.h), in turns within milliseconds of each other.
//
//   bench_seal [ROUNDS]
//
// One JSON object on stdout: for each cipher that this CPU has and each size nanoseconds for sealing and opening one
// record with either, medians of ROUNDS (21) turns. Exit status 0, or 1 if something does not work.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "common/tls/record.h"
#include "libom/safe/seal.h"

namespace {

using namespace om;

constexpr size_t kHeader = safe::kRecordHeader;
constexpr double kTurnNs = 2e6;

double now_ns() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

[[noreturn]] void die(const char* what) {
  fprintf(stderr, "seal_bench: %s\n", what);
  exit(1);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Both ends of a sealed channel in libom.
class Fenced {
 public:
  explicit Fenced(uint32_t cipher) {
    for (safe::Seal* end : {from_.get(), to_.get()}) {
      end->offered.cipher = cipher;
      if (safe::expand_keys(*end) != 0) die("libom has no such cipher");
    }
  }
  void turn(uint8_t* record, size_t n) {
    if (safe::seal_record(*from_, record, n) != 0 || safe::open_record(*to_, record, n) != 0)
      die("libom cannot open what it has sealed");
  }

 private:
  std::unique_ptr<safe::Seal> from_ = std::make_unique<safe::Seal>(),
                              to_ = std::make_unique<safe::Seal>();
};

// The same with OpenSSL.
class Hosted {
 public:
  explicit Hosted(Cipher cipher)
      : from_(RecordSealer::make(cipher, kKey).value()),
        to_(RecordOpener::make(cipher, kKey).value()) {}
  void turn(uint8_t* record, size_t n) {
    const std::span<uint8_t> whole(record, n + safe::kRecordOverhead),
        contents = whole.subspan(kHeader, n);
    if (!from_.seal(contents, whole).ok() || !to_.open(whole, contents).ok())
      die("OpenSSL cannot open what it has sealed");
  }

 private:
  static constexpr std::array<uint8_t, kAeadKeyBytes> kKey{};
  RecordSealer from_;
  RecordOpener to_;
};

template <class Side>
double time_of(Side& side, std::vector<uint8_t>& record, size_t n) {
  const double begun = now_ns();
  double elapsed = 0;
  int count = 0;
  while (elapsed < kTurnNs) {
    for (int i = 0; i < 100; i++) side.turn(record.data(), n);
    count += 100;
    elapsed = now_ns() - begun;
  }
  return elapsed / count;
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? atoi(argv[1]) : 21;
  if (rounds < 5) die("at least 5 rounds");
  struct Suite {
    const char* name;
    uint32_t fenced;
    Cipher hosted;
  };
  const Suite suites[] = {
      {"aes256gcm", kChannelAes256Gcm, Cipher::kAes256Gcm},
      {"chacha20poly1305", kChannelChaCha20Poly1305, Cipher::kChaCha20Poly1305}};
  const char* separator = "{";
  for (const Suite& suite : suites) {
    if (!safe::can_seal(suite.fenced)) continue;
    Fenced fenced(suite.fenced);
    Hosted hosted(suite.hosted);
    for (const size_t n : {size_t{64}, size_t{1024}, safe::kMostSealed}) {
      std::vector<uint8_t> record(n + safe::kRecordOverhead);
      std::vector<double> ours, theirs;
      for (int i = 0; i < rounds; i++) {
        ours.push_back(time_of(fenced, record, n));
        theirs.push_back(time_of(hosted, record, n));
      }
      printf("%s\"%s.%zu\": {\"libom_ns\": %.1f, \"openssl_ns\": %.1f}", separator, suite.name, n,
             median(ours), median(theirs));
      separator = ", ";
    }
  }
  printf("}\n");
}
