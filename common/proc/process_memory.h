// SPDX-License-Identifier: Apache-2.0
//
// Accesses the memory of another process: the home process for the deputy, the body for its keeper. Uses
// process_vm_readv and -writev where the mapping allows it; elsewhere /proc/PID/mem, which ignores protections (guard
// pages with contents, code).
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <cstddef>
#include <span>

#include "common/base/result.h"
#include "common/base/unique_fd.h"

namespace om {

class ProcessMemory {
 public:
  static Result<ProcessMemory> open(pid_t pid);

  pid_t pid() const { return pid_; }

  // All of it, or an Error (EFAULT if a page is missing).
  Result<void> read(uint64_t address, std::span<std::byte> to) const;
  Result<void> write(uint64_t address, std::span<const std::byte> from) const;
  // Reads as far as it can from `address` on; 0 if the first page is not readable.
  size_t read_some(uint64_t address, std::span<std::byte> to) const;

  template <class T>
  Result<T> get(uint64_t address) const {
    T value{};
    if (auto r = read(address, std::as_writable_bytes(std::span(&value, 1))); !r) return r.error();
    return value;
  }
  template <class T>
  Result<void> put(uint64_t address, const T& value) const {
    return write(address, std::as_bytes(std::span(&value, 1)));
  }

 private:
  ProcessMemory(pid_t pid, UniqueFd mem) : pid_(pid), mem_(std::move(mem)) {}
  pid_t pid_;
  UniqueFd mem_;
};

}  // namespace om
