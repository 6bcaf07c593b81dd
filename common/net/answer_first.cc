// SPDX-License-Identifier: Apache-2.0
#include "common/net/answer_first.h"

#include <kj/common.h>

#include "common/net/stream_over.h"

namespace om {
namespace {

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"
class AnswerFirst final : public StreamOver {
 public:
  using StreamOver::StreamOver;

  // evalLast: an answer that was waiting for the previous one to be written must start first, and then counts.
  kj::Promise<size_t> tryRead(void* buffer, size_t min_bytes, size_t max_bytes) override {
    return kj::evalLast([this, buffer, min_bytes, max_bytes]() -> kj::Promise<size_t> {
      if (writes_ == 0) return inner_->tryRead(buffer, min_bytes, max_bytes);
      auto pair = kj::newPromiseAndFulfiller<void>();
      written_ = kj::mv(pair.fulfiller);
      return pair.promise.then(
          [this, buffer, min_bytes, max_bytes] { return tryRead(buffer, min_bytes, max_bytes); });
    });
  }

  kj::Promise<void> write(const void* buffer, size_t size) override {
    return counted([&] { return inner_->write(buffer, size); });
  }
  kj::Promise<void> write(kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>> pieces) override {
    return counted([&] { return inner_->write(pieces); });
  }

 private:
  template <class Write>
  kj::Promise<void> counted(Write write) {
    ++writes_;
    auto end = kj::defer([this] {
      if (--writes_ != 0 || written_.get() == nullptr) return;
      written_->fulfill();
      written_ = nullptr;
    });
    // Eager, so that the count drops when the write is done, not when the caller looks at it.
    return kj::evalNow(write).attach(kj::mv(end)).eagerlyEvaluate(nullptr);
  }

  size_t writes_ = 0;
  kj::Own<kj::PromiseFulfiller<void>> written_;
};
#pragma GCC diagnostic pop

}  // namespace

kj::Own<kj::AsyncIoStream> answer_first(kj::Own<kj::AsyncIoStream> stream) {
  return kj::heap<AnswerFirst>(kj::mv(stream));
}

}  // namespace om
