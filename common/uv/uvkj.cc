// SPDX-License-Identifier: Apache-2.0
#include "common/uv/uvkj.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <vector>

#include "common/base/assert.h"

namespace om {

// One box for the four handles: freed when the last of them is closed.
struct UvKj::Handles {
  uv_prepare_t prepare;
  uv_check_t check;
  uv_idle_t idle;
  uv_async_t async;
  int open = 4;

  template <class Uv>
  void close(Uv& handle) {
    uv_close(reinterpret_cast<uv_handle_t*>(&handle), [](uv_handle_t* closed) noexcept {
      auto* handles = static_cast<Handles*>(closed->data);
      if (--handles->open == 0) delete handles;
    });
    handle.data = this;
  }
};

UvKj::UvKj(Loop& loop)
    : loop_(loop), handles_(new Handles), event_loop_(*this), wait_scope_(event_loop_) {
  uv_prepare_init(loop.raw(), &handles_->prepare);
  uv_check_init(loop.raw(), &handles_->check);
  uv_idle_init(loop.raw(), &handles_->idle);
  uv_async_init(loop.raw(), &handles_->async, [](uv_async_t* handle) noexcept {
    static_cast<UvKj*>(handle->data)->woken_ = true;
  });
  handles_->prepare.data = handles_->check.data = handles_->idle.data = handles_->async.data = this;
  uv_prepare_start(&handles_->prepare,
                   [](uv_prepare_t* handle) noexcept { static_cast<UvKj*>(handle->data)->turn(); });
  uv_check_start(&handles_->check,
                 [](uv_check_t* handle) noexcept { static_cast<UvKj*>(handle->data)->turn(); });
  // None of them alone keeps the loop running.
  uv_unref(reinterpret_cast<uv_handle_t*>(&handles_->prepare));
  uv_unref(reinterpret_cast<uv_handle_t*>(&handles_->check));
  uv_unref(reinterpret_cast<uv_handle_t*>(&handles_->async));
}

UvKj::~UvKj() noexcept(false) {
  Handles* handles = handles_;
  handles->close(handles->prepare);
  handles->close(handles->check);
  handles->close(handles->idle);
  handles->close(handles->async);
}

void UvKj::turn() {
  if (!runnable_ || in_kj_) return;
  in_kj_ = true;
  event_loop_.run();
  in_kj_ = false;
}

bool UvKj::wait() {
  bool outer = std::exchange(in_kj_, true);
  uv_run(loop_.raw(), UV_RUN_ONCE);
  in_kj_ = outer;
  return std::exchange(woken_, false);
}

bool UvKj::poll() {
  bool outer = std::exchange(in_kj_, true);
  uv_run(loop_.raw(), UV_RUN_NOWAIT);
  in_kj_ = outer;
  return std::exchange(woken_, false);
}

void UvKj::setRunnable(bool runnable) {
  if (runnable == runnable_) return;
  runnable_ = runnable;
  if (runnable) {
    uv_idle_start(&handles_->idle, [](uv_idle_t*) noexcept {});
  } else {
    uv_idle_stop(&handles_->idle);
  }
}

void UvKj::wake() const { uv_async_send(&handles_->async); }

namespace {

class TimerAdapter {
 public:
  TimerAdapter(kj::PromiseFulfiller<void>& fulfiller, Loop& loop, Milliseconds delay)
      : timer_(loop) {
    timer_.start(delay, [&fulfiller] { fulfiller.fulfill(); });
  }

 private:
  Timer timer_;
};

using Bytes = kj::ArrayPtr<const kj::byte>;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"
// AsyncIoStream on a uv_poll_t. One read and one write may be pending, as KJ promises.
class UvStream final : public kj::AsyncIoStream {
 public:
  UvStream(UvKj& kj, UniqueFd socket)
      : socket_(std::move(socket)), poller_(kj.loop(), socket_.get()) {
    poller_.start(0, [this](int status, int events) { on_events(status, events); });
  }

  kj::Promise<size_t> tryRead(void* buffer, size_t min_bytes, size_t max_bytes) override {
    return read_more(static_cast<char*>(buffer), min_bytes, max_bytes, 0);
  }

  kj::Promise<void> write(const void* buffer, size_t size) override {
    std::vector<Bytes> pieces{kj::arrayPtr(static_cast<const kj::byte*>(buffer), size)};
    return write_more(std::move(pieces));
  }

  kj::Promise<void> write(kj::ArrayPtr<const Bytes> pieces) override {
    return write_more(std::vector<Bytes>(pieces.begin(), pieces.end()));
  }

  // A write after the peer is gone fails by itself; no caller waits for that in advance.
  kj::Promise<void> whenWriteDisconnected() override { return kj::NEVER_DONE; }
  void shutdownWrite() override { ::shutdown(socket_.get(), SHUT_WR); }
  void abortRead() override { ::shutdown(socket_.get(), SHUT_RD); }

  // Connecting is finished when the socket becomes writable.
  kj::Promise<void> when_writable() { return wait_for(writable_); }
  int fd() const { return socket_.get(); }

 private:
  using Waiter = kj::Own<kj::PromiseFulfiller<void>>;

  static kj::Exception failure(const char* call, int error) {
    return KJ_EXCEPTION(DISCONNECTED, kj::str(call, ": ", ::strerror(error)));
  }

  kj::Promise<void> wait_for(Waiter& waiter) {
    if (watch_error_ != 0) return failure("watch", watch_error_);
    auto pair = kj::newPromiseAndFulfiller<void>();
    waiter = kj::mv(pair.fulfiller);
    arm();
    return kj::mv(pair.promise);
  }

  void arm() {
    poller_.change((readable_.get() != nullptr ? UV_READABLE : 0) |
                   (writable_.get() != nullptr ? UV_WRITABLE : 0));
  }

  // Not disarmed here: a reader usually comes back in the same turn, and epoll_ctl per message costs more
  // than one needless wake-up, which disarms.
  void on_events(int status, int events) {
    if (status < 0) {
      // Usually the retried call reports the error. A descriptor that cannot be watched fails later waits too.
      if (poller_.error() != 0) watch_error_ = -status;
      events = UV_READABLE | UV_WRITABLE;
    }
    bool nobody = true;
    if ((events & UV_READABLE) != 0) nobody &= !fire(readable_);
    if ((events & UV_WRITABLE) != 0) nobody &= !fire(writable_);
    if (nobody) arm();
  }

  static bool fire(Waiter& waiter) {
    if (waiter.get() == nullptr) return false;
    Waiter now = kj::mv(waiter);
    waiter = nullptr;
    now->fulfill();
    return true;
  }

  kj::Promise<size_t> read_more(char* buffer, size_t min_bytes, size_t max_bytes, size_t done) {
    for (;;) {
      ssize_t n = ::recv(socket_.get(), buffer + done, max_bytes - done, MSG_DONTWAIT);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) {
        return wait_for(readable_).then([this, buffer, min_bytes, max_bytes, done] {
          return read_more(buffer, min_bytes, max_bytes, done);
        });
      }
      if (n < 0) return failure("recv", errno);
      done += static_cast<size_t>(n);
      if (n == 0 || done >= min_bytes) return done;
    }
  }

  kj::Promise<void> write_more(std::vector<Bytes> pieces) {
    size_t first = 0;
    for (;;) {
      while (first < pieces.size() && pieces[first].size() == 0) ++first;
      if (first == pieces.size()) return kj::READY_NOW;
      std::array<iovec, 32> vectors;
      size_t count = 0;
      for (size_t i = first; i < pieces.size() && count < vectors.size(); ++i) {
        vectors[count++] = {const_cast<kj::byte*>(pieces[i].begin()), pieces[i].size()};
      }
      msghdr message{};
      message.msg_iov = vectors.data();
      message.msg_iovlen = count;
      ssize_t n = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) {
        pieces.erase(pieces.begin(), pieces.begin() + static_cast<ptrdiff_t>(first));
        return wait_for(writable_).then(
            [this, rest = std::move(pieces)]() mutable { return write_more(std::move(rest)); });
      }
      if (n < 0) return failure("send", errno);
      for (auto left = static_cast<size_t>(n); left > 0;) {
        size_t step = std::min(left, pieces[first].size());
        pieces[first] = pieces[first].slice(step, pieces[first].size());
        left -= step;
        if (pieces[first].size() == 0) ++first;
      }
    }
  }

  UniqueFd socket_;
  Poller poller_;
  int watch_error_ = 0;
  Waiter readable_;
  Waiter writable_;
};
#pragma GCC diagnostic pop

}  // namespace

kj::Promise<void> UvKj::after(Milliseconds delay) {
  return kj::newAdaptedPromise<void, TimerAdapter>(loop_, delay);
}

kj::Own<kj::AsyncIoStream> wrap_socket(UvKj& kj, UniqueFd socket) {
  int on = 1;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on,
               sizeof on);  // fails on a unix socket; harmless
  return kj::heap<UvStream>(kj, std::move(socket));
}

kj::Promise<kj::Own<kj::AsyncIoStream>> connect_tcp(UvKj& kj, const Address& from,
                                                    const Address& to) {
  UniqueFd socket(::socket(to.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return KJ_EXCEPTION(OVERLOADED, kj::str("socket: ", ::strerror(errno)));
  if (!from.is_any() && from.family() == to.family()) {
    Address source = from;
    source.set_port(0);
    if (::bind(socket.get(), source.raw(), source.raw_size()) != 0) {
      return KJ_EXCEPTION(DISCONNECTED,
                          kj::str("bind ", source.host().c_str(), ": ", ::strerror(errno)));
    }
  }
  if (::connect(socket.get(), to.raw(), to.raw_size()) != 0 && errno != EINPROGRESS) {
    return KJ_EXCEPTION(DISCONNECTED,
                        kj::str("connect ", to.text().c_str(), ": ", ::strerror(errno)));
  }
  int on = 1;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  auto stream = kj::heap<UvStream>(kj, std::move(socket));
  kj::Promise<void> writable = stream->when_writable();
  return writable.then(
      [stream = kj::mv(stream), to]() mutable -> kj::Promise<kj::Own<kj::AsyncIoStream>> {
        int error = 0;
        socklen_t size = sizeof error;
        ::getsockopt(stream->fd(), SOL_SOCKET, SO_ERROR, &error, &size);
        if (error != 0) {
          return KJ_EXCEPTION(DISCONNECTED,
                              kj::str("connect ", to.text().c_str(), ": ", ::strerror(error)));
        }
        return kj::Own<kj::AsyncIoStream>(kj::mv(stream));
      });
}

}  // namespace om
