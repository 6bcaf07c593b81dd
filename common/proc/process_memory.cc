// SPDX-License-Identifier: Apache-2.0
#include "common/proc/process_memory.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <fmt/format.h>

#include "common/proc/proc_file.h"

namespace om {
namespace {

void* pointer(uint64_t address) { return reinterpret_cast<void*>(address); }

}  // namespace

Result<ProcessMemory> ProcessMemory::open(pid_t pid) {
  UniqueFd mem = OM_TRY(proc::open_proc(pid, "mem", O_RDWR));
  return ProcessMemory(pid, std::move(mem));
}

size_t ProcessMemory::read_some(uint64_t address, std::span<std::byte> to) const {
  iovec local{to.data(), to.size()}, remote{pointer(address), to.size()};
  const ssize_t n = ::process_vm_readv(pid_, &local, 1, &remote, 1, 0);
  size_t done = n > 0 ? static_cast<size_t>(n) : 0;
  while (done < to.size()) {
    const ssize_t r = ::pread64(mem_.get(), to.data() + done, to.size() - done,
                                static_cast<off64_t>(address + done));
    if (r <= 0) break;
    done += static_cast<size_t>(r);
  }
  return done;
}

Result<void> ProcessMemory::read(uint64_t address, std::span<std::byte> to) const {
  if (read_some(address, to) == to.size()) return {};
  return Error{EFAULT,
               fmt::format("read {} bytes at {:#x} of process {}", to.size(), address, pid_)};
}

Result<void> ProcessMemory::write(uint64_t address, std::span<const std::byte> from) const {
  iovec local{const_cast<std::byte*>(from.data()), from.size()},
      remote{pointer(address), from.size()};
  const ssize_t n = ::process_vm_writev(pid_, &local, 1, &remote, 1, 0);
  size_t done = n > 0 ? static_cast<size_t>(n) : 0;
  while (done < from.size()) {
    const ssize_t r = ::pwrite64(mem_.get(), from.data() + done, from.size() - done,
                                 static_cast<off64_t>(address + done));
    if (r <= 0)
      return Error{
          EFAULT, fmt::format("write {} bytes at {:#x} of process {}", from.size(), address, pid_)};
    done += static_cast<size_t>(r);
  }
  return {};
}

}  // namespace om
