// SPDX-License-Identifier: Apache-2.0
#include "libom/gate/cpus.h"

#include "libom/abi/kernel.h"
#include "libom/gate/functions.h"
#include "libom/gate/user_memory.h"
#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"

namespace om::gate {
namespace {

using safe::sys;

constexpr uint64_t kUnregister = 1;
constexpr uint32_t kUnknown = ~0u;  // RSEQ_CPU_ID_UNINITIALIZED

// struct rseq of <linux/rseq.h>, as far as every area has it.
struct Area {
  uint32_t cpu_id_start, cpu_id;
  uint64_t sequence;  // struct rseq_cs, 0 outside
  uint32_t flags, node_id, mm_cid, pad;
};
constexpr uint32_t kAreaBytes = 32;
constexpr uint64_t kAreaAlign = 32;
static_assert(sizeof(Area) == kAreaBytes);

struct Sequence {
  uint32_t version, flags;
  uint64_t start, length, handler;
};

long forget_cpu(uint64_t address) {
  Area area;
  if (!read_program(area, address)) return -k::kEFAULT;
  area.cpu_id_start = area.node_id = area.mm_cid = 0;
  area.cpu_id = kUnknown;
  return write_program(address, area) ? 0 : -k::kEFAULT;
}

// In the order of the kernel's checks (kernel/rseq.c).
long register_here(const BodyThread& t, uint64_t address, uint32_t size, uint64_t flags,
                   uint32_t signature) {
  const uint64_t known = t.kernel.rseq_address;
  const bool same = known == address && t.kernel.rseq_size == size;
  if (flags & kUnregister) {
    if (flags != kUnregister || known == 0 || !same) return -k::kEINVAL;
    if (t.kernel.rseq_signature != signature) return -k::kEPERM;
    return forget_cpu(address);
  }
  if (flags != 0) return -k::kEINVAL;
  if (known != 0) {
    if (!same) return -k::kEINVAL;
    return t.kernel.rseq_signature == signature ? -k::kEBUSY : -k::kEPERM;
  }
  if (size < kAreaBytes || address % kAreaAlign != 0) return -k::kEINVAL;
  return forget_cpu(address);
}

}  // namespace

// Context: gate, restore
long register_sequences(BodyThread* t, uint64_t address, uint32_t size, uint64_t flags,
                        uint32_t signature) {
  if (g_body.cpu_limit != 0) return register_here(*t, address, size, flags, signature);
  make_present(address, size);
  return sys(kNr_rseq, address, size, flags, signature);
}

// Context: gate
void abort_sequence(BodyThread* t) {
  if (g_body.cpu_limit == 0 || t->kernel.rseq_address == 0) return;
  Area area;
  Sequence sequence;
  if (!read_program(area, t->kernel.rseq_address) || area.sequence == 0) return;
  if (!read_program(sequence, area.sequence)) return;
  if (t->regs[kRip] - sequence.start < sequence.length) {
    t->regs[kRip] = sequence.handler;
    t->full_exit = 1;
  }
  area.sequence = 0;
  write_program(t->kernel.rseq_address + offsetof(Area, sequence), area.sequence);
}

// Context: gate
long gate_rseq(GateCall& c) {
  BodyThread* t = c.thread;
  const auto size = static_cast<uint32_t>(c.args[1]), signature = static_cast<uint32_t>(c.args[3]);
  const uint64_t flags = static_cast<uint32_t>(c.args[2]);
  const long r = register_sequences(t, c.args[0], size, flags, signature);
  if (r != 0) return r;
  if (flags & kUnregister) {
    t->kernel.rseq_address = 0;
  } else {
    t->kernel.rseq_address = c.args[0];
    t->kernel.rseq_size = size;
    t->kernel.rseq_signature = signature;
  }
  return 0;
}

// Context: gate
long gate_getcpu(GateCall& c) {
  uint32_t cpu = 0, node = 0;
  const long r = sys(kNr_getcpu, &cpu, &node, 0);
  if (r != 0) return r;
  if (g_body.cpu_limit != 0) {
    cpu %= g_body.cpu_limit;
    node = 0;  // the only one that every machine has
  }
  if (c.args[0] != 0 && !write_program(c.args[0], cpu)) return -k::kEFAULT;
  if (c.args[1] != 0 && !write_program(c.args[1], node)) return -k::kEFAULT;
  return 0;
}

}  // namespace om::gate
