// SPDX-License-Identifier: Apache-2.0
//
// A file as a KJ stream: always ready, so that code for connections works on files as well. Starts at the file's
// current position. KJ exceptions.
#pragma once

#include <kj/async-io.h>

#include <cstddef>

#include "common/base/unique_fd.h"

namespace om {

class FileInput final : public kj::AsyncInputStream {
 public:
  explicit FileInput(UniqueFd fd) : fd_(std::move(fd)) {}

  kj::Promise<size_t> tryRead(void* buffer, size_t least, size_t most) override;

 private:
  UniqueFd fd_;
};

class FileOutput final : public kj::AsyncOutputStream {
 public:
  explicit FileOutput(UniqueFd fd) : fd_(std::move(fd)) {}

  kj::Promise<void> write(const void* buffer, size_t size) override;
  kj::Promise<void> write(kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>> pieces) override;
  kj::Promise<void> whenWriteDisconnected() override { return kj::NEVER_DONE; }

 private:
  UniqueFd fd_;
};

}  // namespace om
