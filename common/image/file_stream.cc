// SPDX-License-Identifier: Apache-2.0
#include "common/image/file_stream.h"

#include <kj/debug.h>
#include <unistd.h>

namespace om {

kj::Promise<size_t> FileInput::tryRead(void* buffer, size_t least, size_t most) {
  size_t done = 0;
  while (done < least) {
    ssize_t n = 0;
    KJ_SYSCALL(n = ::read(fd_.get(), static_cast<kj::byte*>(buffer) + done, most - done));
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  return done;
}

kj::Promise<void> FileOutput::write(const void* buffer, size_t size) {
  for (size_t done = 0; done < size;) {
    ssize_t n = 0;
    KJ_SYSCALL(n = ::write(fd_.get(), static_cast<const kj::byte*>(buffer) + done, size - done));
    done += static_cast<size_t>(n);
  }
  return kj::READY_NOW;
}

kj::Promise<void> FileOutput::write(kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>> pieces) {
  for (auto piece : pieces) write(piece.begin(), piece.size());
  return kj::READY_NOW;
}

}  // namespace om
