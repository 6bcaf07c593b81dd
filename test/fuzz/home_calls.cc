// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: what a hostile body sends to its executor (libom/stub), from the bytes on the channel up to the kernel.
// The system call instructions are replaced: this kernel checks every memory argument of a call against the memory that
// it may use, fills outputs up to the given size, and answers as the input says.
//
// Input: a byte (odd: the rest is the stream as it is; even: records, of which Calls in order are made; with bit 1 a
// signal comes during the first system call that an executor makes for a Call; with bit 2 the channel is sealed, by a
// peer that has the keys) and the kernel's answers. Guarantees: what is sent on a sealed channel opens in order; no
// address but libom's own buffers, the message, or the program's memory where the row says so; no descriptor of
// libom's; no number whose row is not forwarded. It is one file because its parts share this kernel.
#include <errno.h>
#include <setjmp.h>
#include <sys/mman.h>

#include <algorithm>
#include <map>
#include <vector>

#include "gen/syscalls_desc.h"
#include "libom/abi/kernel.h"
#include "libom/safe/call_layout.h"
#include "libom/safe/image.h"
#include "libom/safe/numbers.h"
#include "libom/safe/row.h"
#include "libom/safe/rpc_encode.h"
#include "libom/safe/rpc_parse.h"
#include "libom/safe/stream.h"
#include "libom/safe/syscall.h"
#include "libom/stub/deputy_socket.h"
#include "libom/stub/executor.h"
#include "libom/stub/program_memory.h"
#include "libom/stub/signal.h"
#include "libom/stub/stub.h"
#include "libom/stub/window.h"
#include "test/fuzz/fuzz.h"

namespace {

using namespace om;
using fuzz::require;

constexpr uint32_t kSlots = 3, kEpoch = 7;
constexpr int32_t kFdBase = 1000;
constexpr uint64_t kUserEnd = uint64_t{1} << 47;

jmp_buf g_done;
std::vector<uint8_t> g_stream;  // what the peer has yet to send
size_t g_sent;
fuzz::Bytes g_answers(nullptr, 0);
std::map<uint64_t, uint64_t> g_mapped;  // memory that libom has mapped for itself: bytes by address
uint64_t g_arena;
safe::Seal g_peer;  // the other end of a sealed channel
bool g_sealed;
bool g_signals;  // a signal comes whenever an executor is busy and has none

uint64_t address(const void* p) { return reinterpret_cast<uint64_t>(p); }

HomeThread* thread() { return stub::thread_at(0); }

bool within(uint64_t at, uint64_t n, uint64_t lo, uint64_t bytes) {
  return at >= lo && at - lo <= bytes && n <= bytes - (at - lo);
}

bool in_mapped(uint64_t at, uint64_t n) {
  for (const auto& [lo, bytes] : g_mapped) {
    if (within(at, n, lo, bytes)) return true;
  }
  return false;
}

// Whether an executor may pass this memory to the kernel. Read-only for what came in.
bool is_buffer(uint64_t at, uint64_t n) {
  const uint64_t slot = slot_address(g_arena, 0);
  return within(at, n, slot + kSlotRecv, kSlotRecvSize) ||
         within(at, n, slot + kSlotSend, kSlotSendSize) || in_mapped(at, n);
}

// Whether none of it is libom's: the kernel finds out whether the program has it. Zero bytes belong to nobody, wherever
// they are.
bool is_programs(uint64_t at, uint64_t n) {
  return n == 0 || (!stub::hits_libom(at, n) && !in_mapped(at, n));
}

bool is_guard(uint64_t at) { return at == slot_address(g_arena, 0) || at >= kUserEnd; }

void fill(uint64_t at, uint64_t n) {
  auto* to = reinterpret_cast<uint8_t*>(at);
  for (uint64_t i = 0; i < n && i < 64; i++) to[i] = g_answers.take<uint8_t>();
  if (n > 64) to[n - 1] = 0;
}

void look(uint64_t at, uint64_t n) {
  volatile uint8_t sum = 0;
  for (uint64_t i = 0; i < n; i += i < 64 || n - i < 4096 ? 1 : 4096)
    sum = static_cast<uint8_t>(sum + reinterpret_cast<const uint8_t*>(at)[i]);
}

[[noreturn]] void end_of_input() { longjmp(g_done, 1); }

// ------------------------------------------------------------------- messages

struct Mmsghdr {
  k::Msghdr h;
  uint32_t len, pad;
};

long message_call(uint32_t nr, const uint64_t* args) {
  const bool vector = nr == kNr_sendmmsg || nr == kNr_recvmmsg;
  const bool sending = nr == kNr_sendmsg || nr == kNr_sendmmsg;
  const uint64_t count = vector ? args[2] : 1;
  require(count <= 64);
  for (uint64_t i = 0; i < count; i++) {
    const uint64_t at = args[1] + i * sizeof(Mmsghdr);
    require(is_buffer(at, vector ? sizeof(Mmsghdr) : sizeof(k::Msghdr)));
    auto* m = reinterpret_cast<Mmsghdr*>(at);
    k::Msghdr& h = m->h;
    require(h.iovlen == 1 && is_buffer(h.iov, sizeof(k::Iovec)));
    const auto* iov = reinterpret_cast<const k::Iovec*>(h.iov);
    require(iov->len == 0 || is_buffer(iov->base, iov->len));
    require(h.name == 0 || is_buffer(h.name, h.namelen));
    require(h.control == 0 || is_buffer(h.control, h.controllen));
    if (sending) {
      look(iov->base, iov->len);
      if (h.name != 0) look(h.name, h.namelen);
      if (h.control != 0) look(h.control, h.controllen);
      for (uint64_t at_c = 0; h.control != 0 && at_c + 20 <= h.controllen; at_c += 4) {
        // However it is parsed, a well-formed first record names nothing of libom's.
        const auto* c = reinterpret_cast<const uint32_t*>(h.control);
        const auto len = *reinterpret_cast<const uint64_t*>(h.control);
        if (c[2] == 1 && c[3] == 1 && len >= 20 && len <= h.controllen && at_c + 4 <= len - 16)
          require(!stub::is_ours(c[4 + at_c / 4]));
      }
    } else {
      fill(iov->base, iov->len);
      if (h.name != 0) {
        const uint32_t real = g_answers.take<uint8_t>() % 129;
        fill(h.name, real < h.namelen ? real : h.namelen);
        h.namelen = real;
      }
      if (h.control != 0) h.controllen = g_answers.take<uint8_t>() % (h.controllen + 1);
      h.flags = g_answers.take<uint32_t>();
    }
    const uint64_t got = iov->len == 0 ? 0 : g_answers.take<uint32_t>() % (2 * iov->len);
    m->len = vector ? static_cast<uint32_t>(got) : m->len;
    if (!vector)
      return sending && got > iov->len ? static_cast<long>(iov->len) : static_cast<long>(got);
  }
  if (nr == kNr_recvmmsg && args[4] != 0) {
    require(is_buffer(args[4], 16));
    fill(args[4], 16);
  }
  return count == 0 ? 0 : static_cast<long>(g_answers.take<uint8_t>() % (count + 1));
}

// ------------------------------------------------------------------- all others

long answer_of(const SyscallDesc& row, const uint64_t* args) {
  const uint8_t how = g_answers.take<uint8_t>();
  if (how < 64)
    return -static_cast<long>(how % 40 + 1) == -EINTR ? -EIO : -static_cast<long>(how % 40 + 1);
  if (how < 128) return 0;
  // As much as requested, or less.
  uint64_t most = how;
  for (uint32_t i = 0; i < row.nargs; i++) {
    const ArgDesc& a = row.args[i];
    if (a.kind != ArgKind::kBuf) continue;
    if (a.len == LenKind::kRet) most = args[a.len_arg];
    if (a.len == LenKind::kIovRet && args[i] != 0 && !is_guard(args[i]) && args[a.len_arg] == 1)
      most = reinterpret_cast<const k::Iovec*>(args[i])->len;
  }
  if (most > (uint64_t{1} << 40)) return -EINVAL;
  return how < 192 ? static_cast<long>(most)
                   : static_cast<long>(most == 0 ? 0 : g_answers.take<uint32_t>() % most);
}

long described_call(const SyscallDesc& row, const HomeExec& e, const uint64_t* args) {
  const bool at_programs = e.nr == kNr_poll || e.nr == kNr_nanosleep || e.nr == kNr_clock_nanosleep;
  for (uint32_t i = 0; i < row.nargs; i++) {
    const ArgDesc& a = row.args[i];
    if (a.kind == ArgKind::kVal) {
      const bool fd = a.type == ArgType::kFd || a.type == ArgType::kAtFd;
      require(!fd || !stub::is_ours(args[i]));
      continue;
    }
    if (a.kind == ArgKind::kNone || args[i] == 0 || is_guard(args[i])) continue;
    if (a.kind == ArgKind::kStr) {
      uint64_t n = 0;
      for (;; n++) {
        require(is_buffer(args[i] + n, 1));
        if (n + 1 >= a.elem || reinterpret_cast<const char*>(args[i])[n] == 0) break;
      }
      continue;
    }
    if (e.nr == kNr_pselect6 && i == 5) {
      const auto* sigarg = reinterpret_cast<const uint64_t*>(args[i]);
      require(sigarg == thread()->sigarg &&
              (sigarg[0] == 0 || sigarg[0] == address(&thread()->sigarg[2])));
      continue;
    }
    if (safe::is_iov(a)) {
      // The kernel refuses a bad count before it looks further.
      if (args[a.len_arg] > safe::kMaxIov) continue;
      for (uint64_t v = 0; v < args[a.len_arg]; v++) {
        require(is_buffer(args[i] + v * sizeof(k::Iovec), sizeof(k::Iovec)));
        const auto& iov = reinterpret_cast<const k::Iovec*>(args[i])[v];
        require(iov.len == 0 || is_buffer(iov.base, iov.len));
        a.len == LenKind::kIovRet ? fill(iov.base, iov.len) : look(iov.base, iov.len);
      }
      continue;
    }
    uint64_t n = 0;
    if (safe::needs_deref(a)) {
      if (a.len_arg != i && (args[a.len_arg] == 0 || is_guard(args[a.len_arg]))) continue;
      require(is_buffer(args[a.len_arg], 4));
      n = *reinterpret_cast<const uint32_t*>(args[a.len_arg]);
      n += a.plus;
    } else {
      // The kernel refuses negative counts before it touches anything.
      const bool counted = a.len == LenKind::kArg || a.len == LenKind::kRet;
      const bool narrow = counted && row.args[a.len_arg].type == ArgType::kI32;
      if (narrow && static_cast<int32_t>(args[a.len_arg]) < 0) continue;
      n = safe::cap_bytes(a, args, 0);
    }
    if (n == 0) continue;
    if (at_programs && is_programs(args[i], n)) continue;
    require(is_buffer(args[i], n));
    if (safe::goes_in(a)) look(args[i], n);
    if (safe::comes_out(a)) fill(args[i], n);
  }
  return answer_of(row, args);
}

// ------------------------------------------------------------------- what libom does for itself

long map(const uint64_t (&a)[6]) {
  constexpr uint64_t kOwn = k::kMapPrivate | k::kMapAnonymous;
  const bool own =
      (a[3] == (kOwn | k::kMapFixedNoreplace) && a[0] + kExecutorAreaDistance <= g_arena &&
       a[0] + kExecutorAreaDistance + 2 * kSlots * kExecutorAreaEach >= g_arena) ||
      (a[0] == 0 && a[3] == kOwn);
  if (!own) {
    require((a[3] & k::kMapFixed || a[3] & k::kMapFixedNoreplace) && is_programs(a[0], a[1]));
    require(!stub::is_ours(a[4]) || (a[3] & k::kMapAnonymous) != 0);
    return static_cast<long>(a[0]);
  }
  require(a[1] <= (64u << 20));
  void* p = mmap(nullptr, a[1], PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return -ENOMEM;
  g_mapped[address(p)] = a[1];
  return static_cast<long>(address(p));
}

long unmap(uint64_t at, uint64_t bytes) {
  if (auto it = g_mapped.find(at); it != g_mapped.end() && it->second == bytes) {
    munmap(reinterpret_cast<void*>(at), bytes);
    g_mapped.erase(it);
    return 0;
  }
  require(is_programs(at, bytes));
  return 0;
}

long program_memory(const uint64_t (&a)[6], bool write) {
  const auto& local = *reinterpret_cast<const k::Iovec*>(a[1]);
  const auto& remote = *reinterpret_cast<const k::Iovec*>(a[3]);
  require(is_programs(remote.base, remote.len));
  if (g_answers.take<uint8_t>() % 4 == 0) return -EFAULT;
  write ? look(local.base, local.len) : fill(local.base, local.len);
  return static_cast<long>(local.len);
}

long receive(uint64_t to, uint64_t room) {
  if (g_sent == g_stream.size()) end_of_input();
  require(is_buffer(to, room));
  uint64_t n = g_stream.size() - g_sent;
  if (n > room) n = room;
  __builtin_memcpy(reinterpret_cast<void*>(to), g_stream.data() + g_sent, n);
  g_sent += n;
  return static_cast<long>(n);
}

// Puts the stream into records, of any size.
void seal_stream() {
  ChannelKeys keys{};
  keys.cipher = kChannelChaCha20Poly1305;
  keys.send[0] = keys.receive[1] = 1;
  HomeThread* t = thread();
  safe::attach(t->channel, stub::seal_of(t), t->channel.fd, keys);
  g_peer = {};
  g_peer.offered.cipher = keys.cipher;
  g_peer.offered.send[1] = g_peer.offered.receive[0] = 1;
  require(safe::expand_keys(g_peer) == 0);
  std::vector<uint8_t> records;
  for (size_t at = 0; at < g_stream.size();) {
    const size_t n = std::min<size_t>(g_stream.size() - at, 1 + at * 7 % 3000);
    std::vector<uint8_t> record(n + safe::kRecordOverhead);
    std::copy_n(g_stream.data() + at, n, record.data() + safe::kRecordHeader);
    require(safe::seal_record(g_peer, record.data(), n) == 0);
    records.insert(records.end(), record.begin(), record.end());
    at += n;
  }
  g_stream = records;
}

// An executor sends one record at a time, and the peer can open it.
void open_sent(uint64_t at, uint64_t bytes) {
  require(bytes > safe::kRecordOverhead);
  const auto* from = reinterpret_cast<const uint8_t*>(at);
  std::vector<uint8_t> record(from, from + bytes);
  require(safe::open_record(g_peer, record.data(), bytes - safe::kRecordOverhead) == 0);
}

void prepare() {
  static const bool once = [] {
    const uint64_t bytes = arena_bytes(kSlots) + kSlotSize;
    void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    require(p != MAP_FAILED);
    g_arena = (address(p) + kSlotSize - 1) & ~(kSlotSize - 1);
    return true;
  }();
  static_cast<void>(once);
  for (auto& [at, bytes] : g_mapped) munmap(reinterpret_cast<void*>(at), bytes);
  g_mapped.clear();
  HomeState& h = stub::g_home;
  h = HomeState{};
  h.phase = kHomeAway;
  h.epoch = kEpoch;
  h.nslots = kSlots;
  h.slots_ready = 1;
  h.arena = g_arena;
  h.deputy_fd = h.fd_base = kFdBase;
  h.actions[11].handler = 0x1234567;
  for (uint32_t i = 0; i < kSlots; i++) {
    HomeThread* t = stub::thread_at(i);
    *t = HomeThread{};
    t->slot = i;
    t->channel.fd = kFdBase + 1 + static_cast<int32_t>(i);
    t->state = i == 0 ? kSlotUsed : kSlotFree;
  }
}

// Records: number, flags, arguments with a byte that says what kind each is, input.
void make_calls(fuzz::Bytes& in) {
  uint64_t sequence = 0;
  while (in.rest_size() > 0 && sequence < 64) {
    safe::RpcCallHead head{};
    head.params.nr = in.take<uint16_t>() % 0x220;
    if (head.params.nr >= 0x210) head.params.nr = kNrResume + head.params.nr - 0x210;
    head.params.flags = kCallWaited | (in.take<uint16_t>() & 0x3f05);
    head.params.epoch = kEpoch;
    head.params.sequence = ++sequence;
    head.question = safe::question_of(sequence);
    for (auto& a : head.params.a) {
      const uint8_t kind = in.take<uint8_t>();
      a = kind;
      if (kind >= 192) a = in.take<uint32_t>();
      if (kind >= 224) a = in.take<uint64_t>();
      if (kind >= 240) a = g_arena + a % arena_bytes(kSlots);
      if (kind >= 248) a = address(&stub::g_home) + a % sizeof(HomeState);
      if (kind >= 252) a = kFdBase + a % (kSlots + 1);
    }
    const uint64_t bytes = in.take<uint16_t>() % 2048;
    uint8_t message[safe::kCallMaxBytes];
    const long n = safe::encode_call(message, sizeof message, head, bytes);
    g_stream.insert(g_stream.end(), message, message + n);
    for (uint64_t i = 0; i < safe::round8(bytes); i++) g_stream.push_back(in.take<uint8_t>());
  }
}

}  // namespace

// ------------------------------------------------------------------- instead of libom/safe/syscall.S and entries

extern "C" {

char om_window_lo[1], om_window_end[1], om_window_abort[1], om_transplant[1], om_transplant_end[1],
    om_transplant_abort[1], om_restorer[1];
[[noreturn]] void om_resume_user(const ResumeFrame*) { end_of_input(); }
[[noreturn]] void om_resume_registers(const ResumeFrame*) { end_of_input(); }
[[noreturn]] void om_exit_thread(volatile uint32_t*, long) { end_of_input(); }

long om_clone(uint64_t flags, void* stack, void*, void*, void (*)(void*), void*) {
  require((flags & k::kCloneThread) != 0);
  require(within(address(stack), 0, g_arena + kControlSize, arena_bytes(kSlots) - kControlSize));
  return 77;
}

long om_window(volatile uint32_t* cancel, long nr, const uint64_t* args) {
  const HomeExec& e = thread()->call;
  // A call does not block while a signal is unreported.
  if ((e.wire_flags & kCallSignals) != 0 && stub::noted(thread()) > thread()->noted_sent)
    require(*cancel == 1);
  if (*cancel != 0) return safe::kAborted;
  const SyscallDesc& own = syscall_desc(static_cast<uint64_t>(nr));
  require(nr == e.nr);
  SyscallDesc storage;
  const safe::Row row = safe::resolve_row(own, e.program_args, storage);
  const bool local = row.route == Route::kLocal || row.route == Route::kVirt;
  require(row.route == Route::kFwd || row.route == Route::kSplit ||
          (local && (own.effects & kEffPure) != 0));
  if (nr == kNr_sendmsg || nr == kNr_recvmsg || nr == kNr_sendmmsg || nr == kNr_recvmmsg) {
    require(!stub::is_ours(args[0]));
    return message_call(static_cast<uint32_t>(nr), args);
  }
  return described_call(*row.desc, e, args);
}

long om_syscall(long nr, long a, long b, long c, long d, long e, long f) {
  const uint64_t args[6] = {static_cast<uint64_t>(a), static_cast<uint64_t>(b),
                            static_cast<uint64_t>(c), static_cast<uint64_t>(d),
                            static_cast<uint64_t>(e), static_cast<uint64_t>(f)};
  HomeThread* const t = thread();
  // As the catcher does in that phase.
  if (g_signals && t->phase == kExecBusy && stub::noted(t) == 0) t->noted_head++;
  switch (nr) {
    case kNr_recvfrom:
      if (a != t->channel.fd) return 0;  // whether the deputy is there
      return receive(args[1], args[2]);
    case kNr_sendto:
      if (args[0] != static_cast<uint64_t>(kFdBase)) require(is_buffer(args[1], args[2]));
      look(args[1], args[2]);
      if (g_sealed && a == t->channel.fd) open_sent(args[1], args[2]);
      return c;
    case kNr_sendmsg: {
      require(!g_sealed || a != t->channel.fd);
      const auto& h = *reinterpret_cast<const k::Msghdr*>(args[1]);
      long sum = 0;
      for (uint64_t i = 0; i < h.iovlen; i++) {
        const auto& v = reinterpret_cast<const k::Iovec*>(h.iov)[i];
        require(is_buffer(v.base, v.len));
        look(v.base, v.len);
        sum += static_cast<long>(v.len);
      }
      return sum;
    }
    case kNr_socketpair:  // a new connection
    case kNr_futex:       // a ticket that will never come, or a hold
    case kNr_exit_group:
      end_of_input();
    case kNr_mmap:
      return map(args);
    case kNr_munmap:
      return unmap(args[0], args[1]);
    case kNr_mprotect:
      // Its own: slots get memory.
      if (args[1] != 0 && within(args[0], args[1], g_arena, arena_bytes(kSlots))) {
        require(args[2] == (PROT_READ | PROT_WRITE) && args[1] == kSlotSize - kSlotGuard);
        return 0;
      }
      require(is_programs(args[0], args[1]));
      return 0;
    case kNr_madvise:
      require(is_programs(args[0], args[1]));
      return 0;
    case kNr_mremap:
      require(is_programs(args[0], args[1]));
      require((args[3] & k::kMremapFixed) == 0 || is_programs(args[4], args[2]));
      return d & static_cast<long>(k::kMremapFixed) ? e : a;
    case kNr_brk:
      return a;
    case kNr_process_vm_readv:
      return program_memory(args, false);
    case kNr_process_vm_writev:
      return program_memory(args, true);
    case kNr_close_range:
      require(static_cast<uint32_t>(b) < static_cast<uint32_t>(kFdBase) ||
              static_cast<uint32_t>(a) > static_cast<uint32_t>(kFdBase) + kSlots ||
              static_cast<uint32_t>(a) > static_cast<uint32_t>(b));
      return 0;
    case kNr_execve:
    case kNr_execveat:
      return -ENOENT;
    case kNr_rt_sigprocmask:
      if (d == 8 && c != 0) *reinterpret_cast<uint64_t*>(args[2]) = 0;
      return 0;
    case kNr_clock_gettime:
      *reinterpret_cast<k::Timespec*>(args[1]) = {1000, 0};
      return 0;
    case kNr_getpid:
    case kNr_gettid:
      return 4711;
    case kNr_rt_sigaction:
    case kNr_set_robust_list:
    case kNr_set_tid_address:
    case kNr_rseq:
    case kNr_sched_yield:
    case kNr_close:
    case kNr_shutdown:
      return 0;
    case kNr_mincore:
      return -ENOMEM;
    case kNr_fcntl:
      return g_answers.take<uint16_t>();
    case kNr_tgkill:
      require(c == 0);  // only a query
      return g_answers.take<uint8_t>() % 2 ? 0 : -ESRCH;
    case kNr_kcmp:
      return g_answers.take<uint8_t>() % 2;
    case kNr_fstat:
      reinterpret_cast<uint64_t*>(args[1])[3] = uint64_t{g_answers.take<uint8_t>()} << 12;
      reinterpret_cast<uint64_t*>(args[1])[5] = 0;
      return 0;
    case kNr_getrlimit:
    case kNr_prlimit64:
    case kNr_getsockopt:
    case kNr_readlink:
    case kNr_fstatfs:
      return -EBADF;
    default:
      require(false);  // an executor makes no such call
      return -ENOSYS;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  prepare();
  fuzz::Bytes in(data, size);
  const uint8_t mode = in.take<uint8_t>();
  uint8_t answers[256];
  for (auto& b : answers) b = in.take<uint8_t>();
  g_answers = fuzz::Bytes(answers, sizeof answers);
  g_stream.clear();
  g_sent = 0;
  g_signals = (mode & 2) != 0;
  if (mode & 1) {
    g_stream.assign(in.rest(), in.rest() + in.rest_size());
  } else {
    make_calls(in);
  }
  g_sealed = (mode & 4) != 0;
  if (g_sealed) seal_stream();
  if (setjmp(g_done) == 0) stub::serve(thread());
  return 0;
}

}  // extern "C"
