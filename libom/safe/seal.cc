// SPDX-License-Identifier: Apache-2.0
//
// See seal.h. Whatever calls BearSSL runs inside om_with_vectors().
#include "libom/safe/seal.h"

#include <bearssl/bearssl_aead.h>
#include <bearssl/bearssl_block.h>
#include <bearssl/bearssl_hash.h>

#include "libom/abi/kernel.h"

#pragma GCC visibility push(hidden)
extern "C" {
long om_with_vectors(long (*function)(void*), void* argument);
// What BearSSL calls instead of functions of libc.
[[noreturn]] void om_seal_smashed();
void* om_seal_copy(void* to, const void* from, size_t n, size_t room);
}
#pragma GCC visibility pop

namespace om::safe {
namespace {

constexpr size_t kNonce = 12, kNonceNumber = 4, kKey = 32;

// An AES key, and GCM with it; the pointers are into the same SealKey and this library.
struct GcmKey {
  br_aes_x86ni_ctr_keys aes;
  br_gcm_context gcm;
};
static_assert(sizeof(GcmKey) <= sizeof(SealKey::expanded) && alignof(GcmKey) <= alignof(SealKey));
static_assert(kKey <= sizeof(SealKey::expanded));

GcmKey& gcm_of(SealKey& key) { return *reinterpret_cast<GcmKey*>(key.expanded); }

struct Cpuid {
  uint32_t a, b, c, d;
};
Cpuid cpuid(uint32_t leaf) {
  Cpuid r{};
  asm volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "0"(leaf), "2"(0));
  return r;
}

void copy_key(uint8_t* to, const uint8_t* from) {
  for (size_t i = 0; i < kKey; i++) to[i] = from[i];
}

void expand_gcm(SealKey& to, const uint8_t* key) {
  GcmKey& g = gcm_of(to);
  br_aes_x86ni_ctr_init(&g.aes, key, kKey);
  br_gcm_init(&g.gcm, &g.aes.vtable, br_ghash_pclmul);
}

long expand_now(void* argument) {
  auto& seal = *static_cast<Seal*>(argument);
  expand_gcm(seal.send, seal.offered.send);
  expand_gcm(seal.receive, seal.offered.receive);
  return 0;
}

struct Job {
  uint32_t cipher;
  bool opens;
  SealKey* key;
  uint64_t number;
  uint8_t* record;
  size_t n;
};

// 1 if the tags are the same. Takes the same time wherever they differ.
uint32_t same_tag(const uint8_t* a, const uint8_t* b) {
  uint32_t different = 0;
  for (size_t i = 0; i < kRecordTag; i++) different |= uint32_t{a[i]} ^ b[i];
  return (different - 1) >> 31;
}

long do_job(void* argument) {
  const Job& job = *static_cast<const Job*>(argument);
  uint8_t nonce[kNonce] = {};
  for (size_t i = 0; i < sizeof job.number; i++)
    nonce[kNonceNumber + i] = static_cast<uint8_t>(job.number >> (8 * i));
  uint8_t* const contents = job.record + kRecordHeader;
  uint8_t* const tag = contents + job.n;
  if (job.cipher == kChannelAes256Gcm) {
    br_gcm_context& gcm = gcm_of(*job.key).gcm;
    br_gcm_reset(&gcm, nonce, sizeof nonce);
    br_gcm_aad_inject(&gcm, job.record, kRecordHeader);
    br_gcm_flip(&gcm);
    br_gcm_run(&gcm, job.opens ? 0 : 1, contents, job.n);
    if (job.opens) return br_gcm_check_tag(&gcm, tag) == 1 ? 0 : -k::kEBADMSG;
    br_gcm_get_tag(&gcm, tag);
    return 0;
  }
  uint8_t made[kRecordTag];
  br_poly1305_ctmulq_run(job.key->expanded, nonce, contents, job.n, job.record, kRecordHeader,
                         job.opens ? made : tag, br_chacha20_sse2_run, job.opens ? 0 : 1);
  return !job.opens || same_tag(made, tag) == 1 ? 0 : -k::kEBADMSG;
}

}  // namespace

// Context: any
void wipe(void* at, size_t n) { asm volatile("rep stosb" : "+D"(at), "+c"(n) : "a"(0) : "memory"); }

// Context: any
bool can_seal(uint32_t cipher) {
  constexpr uint32_t kPclmul = 1u << 1, kSse41 = 1u << 19, kAes = 1u << 25;
  constexpr uint32_t kNeeded = kPclmul | kSse41 | kAes;
  if (cipher == kChannelAes256Gcm) return (cpuid(1).c & kNeeded) == kNeeded;
  return cipher == kChannelChaCha20Poly1305;
}

// Context: any
long expand_keys(Seal& seal) {
  ChannelKeys& keys = seal.offered;
  seal.sent = seal.received = 0;
  seal.raw = seal.raw_end = 0;
  long r = 0;
  if (!can_seal(keys.cipher)) {
    r = -k::kENOTSUP;
  } else if (keys.cipher == kChannelAes256Gcm) {
    r = om_with_vectors(expand_now, &seal);
  } else {
    copy_key(seal.send.expanded, keys.send);
    copy_key(seal.receive.expanded, keys.receive);
  }
  wipe(keys.send, sizeof keys.send);
  wipe(keys.receive, sizeof keys.receive);
  return r;
}

// Context: any
long seal_record(Seal& seal, uint8_t* record, size_t n) {
  if (n > kMostSealed || seal.sent >= kMaxSealed) return -k::kEINVAL;
  for (size_t i = 0; i < kRecordHeader; i++) record[i] = static_cast<uint8_t>(n >> (8 * i));
  Job job{seal.offered.cipher, false, &seal.send, seal.sent++, record, n};
  return om_with_vectors(do_job, &job);
}

// Context: any
long open_record(Seal& seal, uint8_t* record, size_t n) {
  if (n > kMostSealed || seal.received >= kMaxSealed) return -k::kEBADMSG;
  Job job{seal.offered.cipher, true, &seal.receive, seal.received, record, n};
  const long r = om_with_vectors(do_job, &job);
  if (r == 0) {
    seal.received++;
  } else {
    wipe(record + kRecordHeader, n);
  }
  return r;
}

}  // namespace om::safe

// Context: any
void om_seal_smashed() {
  for (;;) __builtin_trap();
}

// Context: any
void* om_seal_copy(void* to, const void* from, size_t n, size_t room) {
  if (n > room) om_seal_smashed();
  void* d = to;
  asm volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(n) : : "memory");
  return to;
}
