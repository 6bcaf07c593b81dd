// SPDX-License-Identifier: Apache-2.0
#include "test/hostile/gate.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <vector>

#include "libom/safe/rpc_parse.h"
#include "libom/safe/stream.h"

namespace om::hostile {
namespace {

const Anchor* in_notes(uint64_t at, uint64_t end) {
  while (end - at > sizeof(Elf64_Nhdr)) {
    Elf64_Nhdr h;
    memcpy(&h, reinterpret_cast<void*>(at), sizeof h);
    const uint64_t name = at + sizeof h, text = name + ((h.n_namesz + 3) & ~3u);
    if (h.n_namesz == 10 && memcmp(reinterpret_cast<void*>(name), "openMosix", 10) == 0) {
      int64_t distance;
      memcpy(&distance, reinterpret_cast<void*>(text), sizeof distance);
      return reinterpret_cast<const Anchor*>(text + static_cast<uint64_t>(distance));
    }
    at = text + ((h.n_descsz + 3) & ~3u);
  }
  return nullptr;
}

int look(dl_phdr_info* info, size_t, void* found) {
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const auto& p = info->dlpi_phdr[i];
    if (p.p_type != PT_NOTE) continue;
    const uint64_t at = info->dlpi_addr + p.p_vaddr;
    const Anchor* a = in_notes(at, at + p.p_memsz);
    if (a == nullptr) continue;
    *static_cast<const Anchor**>(found) = a;
    return 1;
  }
  return 0;
}

const Anchor& find() {
  const Anchor* a = nullptr;
  dl_iterate_phdr(look, &a);
  if (a == nullptr || a->magic != kAnchorMagic) {
    fprintf(stderr, "not preloaded\n");
    exit(99);
  }
  return *a;
}

long copy(void* to, const void* from, size_t n) {
  memcpy(to, from, n);
  return 0;
}

// This thread's channel as its gate uses it. Its keys are in the slot, if it is sealed.
safe::Stream channel() {
  BodyThread* t = block();
  auto* slot = reinterpret_cast<uint8_t*>(t) - kSlotBlock;
  return {t->channel,
          *reinterpret_cast<safe::Seal*>(slot + kSlotSeal),
          {slot + kSlotRecv, kSlotRecvSize},
          {slot + kSlotSend, kSlotSendSize},
          copy,
          safe::Stream::Manner::kWrite};
}

}  // namespace

extern "C" {
long om_syscall(long nr, long a, long b, long c, long d, long e, long f) {
  const auto u = [](long v) { return static_cast<uint64_t>(v); };
  return gate_syscall(nr, u(a), u(b), u(c), u(d), u(e), u(f));
}
long om_window(volatile uint32_t*, long nr, const uint64_t* args) {
  return gate_syscall(nr, args[0], args[1], args[2], args[3], args[4], args[5]);
}
}

const Anchor& anchor() {
  static const Anchor& found = find();
  return found;
}

BodyThread* block() {
  BodyThread* t;
  asm volatile("mov %%gs:0, %0" : "=r"(t));
  return t;
}

// The first function of the gate's pages (libom/safe/syscall.S).
long gate_syscall(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
  using Function = long (*)(long, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
  return reinterpret_cast<Function>(anchor().gate_lo)(nr, a, b, c, d, e, f);
}

bool write_raw(int fd, const void* data, size_t bytes) {
  const auto* from = static_cast<const uint8_t*>(data);
  while (bytes > 0) {
    const long n = gate_syscall(SYS_write, static_cast<uint64_t>(fd), address(from), bytes);
    if (n == -EINTR) continue;
    if (n <= 0) return false;
    from += n;
    bytes -= static_cast<size_t>(n);
  }
  return true;
}

bool say(const void* data, size_t bytes) {
  safe::Stream stream = channel();
  return stream.flush_with(data, bytes) == 0;
}

uint64_t next_sequence() { return block()->seq + 1; }

Answer forge(const safe::ForwardParams& params, const void* ins, size_t ins_bytes, void* outs,
             size_t room) {
  BodyThread* t = block();
  safe::RpcCallHead head{};
  head.question = safe::question_of(params.sequence);
  head.target = safe::RpcTarget::kImportedCap;
  head.target_id = t->capability;
  head.params = params;
  std::vector<uint8_t> message(safe::kCallMaxBytes + ins_bytes + 8);
  const long n = safe::encode_call(message.data(), message.size(), head, ins_bytes);
  if (ins_bytes > 0) memcpy(message.data() + n, ins, ins_bytes);
  const size_t whole = static_cast<size_t>(n) + ins_bytes + safe::padding(ins_bytes);
  Answer answer{};
  answer.exception = true;
  message.resize(whole);
  if (!say(message.data(), whole)) return answer;
  std::vector<uint8_t> got(8);
  if (channel().take(got.data(), 8) != 0) return answer;
  const long length = safe::frame_length(got.data(), got.size());
  if (length <= 0) return answer;
  got.resize(static_cast<size_t>(length));
  if (channel().take(got.data() + 8, got.size() - 8) != 0) return answer;
  safe::RpcMessage m;
  if (safe::parse_message(got.data(), got.size(), &m) != length || m.kind != safe::RpcKind::kReturn)
    return answer;
  answer.exception = m.ret.error != 0;
  answer.results = m.ret.results;
  answer.got = m.ret.outs.size < room ? m.ret.outs.size : room;
  const uint8_t* from = safe::rpc_bytes(got.data(), got.size(), m.ret.outs);
  if (answer.got > 0 && from != nullptr) memcpy(outs, from, answer.got);
  return answer;
}

Answer forge_next(uint32_t nr, const uint64_t (&args)[6], const void* ins, size_t ins_bytes,
                  uint32_t flags, void* outs, size_t room) {
  BodyThread* t = block();
  safe::ForwardParams p{};
  p.nr = nr;
  p.flags = flags | kCallWaited;
  p.epoch = body_state().epoch;
  p.thread = t->slot;
  p.sequence = t->seq + 1;
  p.ticket = body_state().tickets;
  for (int i = 0; i < 6; i++) p.a[i] = args[i];
  const Answer answer = forge(p, ins, ins_bytes, outs, room);
  if (!answer.exception) t->seq = t->returned = p.sequence;
  return answer;
}

void hidden_thread(void (*entry)(void*), void* argument) {
  constexpr size_t kStack = 1 << 20;
  static uint64_t all = ~uint64_t{0}, old;
  auto* stack = static_cast<uint8_t*>(
      mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  // The new thread "returns" from the gate's function to whatever lies on its stack: a function that takes its
  // own argument from there.
  auto* top = reinterpret_cast<uint64_t*>(stack + kStack - 256);
  extern void hidden_start() asm("om_hidden_start");
  top[0] = reinterpret_cast<uint64_t>(&hidden_start);
  top[1] = reinterpret_cast<uint64_t>(entry);
  top[2] = address(argument);
  memset(stack, 1, kStack - 4096);
  const uint64_t flags =
      CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
  gate_syscall(SYS_rt_sigprocmask, SIG_SETMASK, address(&all), address(&old), 8);
  gate_syscall(SYS_clone, flags, address(top));
  gate_syscall(SYS_rt_sigprocmask, SIG_SETMASK, address(&old), 0, 8);
}

}  // namespace om::hostile

asm(R"(
        .text
        .globl om_hidden_start
        .type om_hidden_start, @function
om_hidden_start:
        pop     %rax
        pop     %rdi
        and     $-16, %rsp
        call    *%rax
        hlt
        .size om_hidden_start, . - om_hidden_start
)");
