// SPDX-License-Identifier: Apache-2.0
#include "migrator/etcd/http.h"

#include <fmt/core.h>

#include <array>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "common/base/log.h"
#include "common/net/json_line.h"
#include "migrator/etcd/curl.h"

namespace om::etcd {
namespace {

struct FreeList {
  const Curl* curl = nullptr;
  void operator()(curl_slist* list) const noexcept { curl->slist_free_all(list); }
};
using Headers = std::unique_ptr<curl_slist, FreeList>;

void add(Headers& headers, const std::string& line) {
  curl_slist* longer = headers.get_deleter().curl->slist_append(headers.get(), line.c_str());
  if (longer == nullptr) return;
  (void)headers.release();
  headers.reset(longer);
}

}  // namespace

// libcurl may not be called from its own callbacks: these note what has come, and deliver() tells it afterwards.
struct Http::Transfers {
  struct Transfer {
    Transfer(const Curl& with, size_t most_bytes)
        : curl(with), most(most_bytes), headers(nullptr, FreeList{&with}), lines(most_bytes) {}
    ~Transfer() { curl.easy_cleanup(easy); }
    Transfer(const Transfer&) = delete;
    Transfer& operator=(const Transfer&) = delete;

    const Curl& curl;
    CURL* easy = nullptr;
    size_t most = 0;
    Post post;
    Done done;
    Headers headers;
    std::array<char, CURL_ERROR_SIZE> error{};
    std::string body;
    LineSplitter lines;
    bool too_long = false;
    std::optional<CURLcode> ended;
  };

  Transfers(const Curl& with, Loop& of, Settings given)
      : curl(with), loop(of), settings(std::move(given)), timer(of) {}
  ~Transfers() {
    for (auto& [number, transfer] : open) curl.multi_remove_handle(multi, transfer->easy);
    open.clear();
    curl.multi_cleanup(multi);
  }

  bool prepare(Transfer& transfer);
  void act(curl_socket_t socket, int events);
  void deliver();
  void drop(uint64_t number);

  static int on_socket(CURL*, curl_socket_t socket, int what, void* self, void*) noexcept;
  static int on_timer(CURLM*, long wait_ms, void* self) noexcept;
  static size_t on_bytes(char* bytes, size_t, size_t count, void* transfer) noexcept;

  const Curl& curl;
  Loop& loop;
  Settings settings;
  CURLM* multi = nullptr;
  std::map<curl_socket_t, std::unique_ptr<Poller>> pollers;
  std::map<uint64_t, std::unique_ptr<Transfer>> open;
  uint64_t numbers = 0;
  Timer timer;
};

int Http::Transfers::on_socket(CURL*, curl_socket_t socket, int what, void* self, void*) noexcept {
  auto* transfers = static_cast<Transfers*>(self);
  if (what == CURL_POLL_REMOVE) {
    transfers->pollers.erase(socket);
    return 0;
  }
  const int events =
      (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
  auto& poller = transfers->pollers[socket];
  if (poller) {
    poller->change(events);
    return 0;
  }
  poller = std::make_unique<Poller>(transfers->loop, socket);
  poller->start(events, [transfers, socket](int status, int ready) {
    transfers->act(socket, status < 0 ? CURL_CSELECT_ERR
                                      : (ready & UV_READABLE ? CURL_CSELECT_IN : 0) |
                                            (ready & UV_WRITABLE ? CURL_CSELECT_OUT : 0));
  });
  return 0;
}

int Http::Transfers::on_timer(CURLM*, long wait_ms, void* self) noexcept {
  auto* transfers = static_cast<Transfers*>(self);
  if (wait_ms < 0) {
    transfers->timer.stop();
  } else {
    transfers->timer.start(Milliseconds(wait_ms),
                           [transfers] { transfers->act(CURL_SOCKET_TIMEOUT, 0); });
  }
  return 0;
}

size_t Http::Transfers::on_bytes(char* bytes, size_t, size_t count, void* given) noexcept {
  auto* transfer = static_cast<Transfer*>(given);
  long status = 0;
  transfer->curl.easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
  if (transfer->post.on_line && status == 200) {
    transfer->too_long = !transfer->lines.push({bytes, count});
  } else {
    transfer->too_long = transfer->body.size() + count > transfer->most;
    if (!transfer->too_long) transfer->body.append(bytes, count);
  }
  return transfer->too_long ? 0 : count;
}

void Http::Transfers::act(curl_socket_t socket, int events) {
  int running = 0;
  curl.multi_socket_action(multi, socket, events, &running);
  int left = 0;
  while (const CURLMsg* message = curl.multi_info_read(multi, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    for (auto& [number, transfer] : open) {
      if (transfer->easy == message->easy_handle) transfer->ended = message->data.result;
    }
  }
  deliver();
}

// What is called may drop any of them.
void Http::Transfers::deliver() {
  std::vector<uint64_t> numbers_now;
  for (const auto& [number, transfer] : open) numbers_now.push_back(number);
  for (const uint64_t number : numbers_now) {
    for (auto at = open.find(number); at != open.end() && at->second->lines.has_line();
         at = open.find(number)) {
      const std::string line = at->second->lines.pop();
      const auto on_line = at->second->post.on_line;
      on_line(line);
    }
    const auto at = open.find(number);
    if (at == open.end() || !at->second->ended) continue;
    Transfer& transfer = *at->second;
    Result<Answer> answer = Answer{};
    if (transfer.too_long) {
      answer = plain_error("the answer is too long");
    } else if (*transfer.ended != CURLE_OK) {
      const std::string why = transfer.error.front() != '\0' ? transfer.error.data()
                                                             : curl.easy_strerror(*transfer.ended);
      answer = plain_error(escaped(why, 200));
    } else {
      curl.easy_getinfo(transfer.easy, CURLINFO_RESPONSE_CODE, &answer->status);
      answer->body = std::move(transfer.body);
    }
    const Done done = std::move(transfer.done);
    drop(number);
    done(std::move(answer));
  }
}

void Http::Transfers::drop(uint64_t number) {
  const auto at = open.find(number);
  if (at == open.end()) return;
  curl.multi_remove_handle(multi, at->second->easy);
  open.erase(at);
}

bool Http::Transfers::prepare(Transfer& transfer) {
  CURL* easy = curl.easy_init();
  transfer.easy = easy;
  if (easy == nullptr) return false;
  add(transfer.headers, "Content-Type: application/json");
  if (!transfer.post.token.empty()) add(transfer.headers, "Authorization: " + transfer.post.token);
  const auto set = [this, easy](CURLoption option, auto value) {
    return curl.easy_setopt(easy, option, value) == CURLE_OK;
  };
  const auto file = [&](CURLoption option, const std::string& path) {
    return path.empty() || set(option, path.c_str());
  };
  // With its own CAs the system's do not count. Proxies of the environment are for browsers.
  const bool own = !settings.ca.empty();
  return set(CURLOPT_URL, transfer.post.url.c_str()) && set(CURLOPT_POST, 1L) &&
         set(CURLOPT_POSTFIELDS, transfer.post.body.c_str()) &&
         set(CURLOPT_POSTFIELDSIZE, static_cast<long>(transfer.post.body.size())) &&
         set(CURLOPT_HTTPHEADER, transfer.headers.get()) &&
         set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1)) &&
         set(CURLOPT_PROTOCOLS_STR, "http,https") && set(CURLOPT_PROXY, "") &&
         set(CURLOPT_NOSIGNAL, 1L) && set(CURLOPT_TCP_KEEPALIVE, 1L) &&
         set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(settings.connect.count())) &&
         set(CURLOPT_TIMEOUT_MS, static_cast<long>(transfer.post.limit.count())) &&
         set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2)) &&
         (!own || set(CURLOPT_CAPATH, static_cast<char*>(nullptr))) &&
         file(CURLOPT_CAINFO, settings.ca) && file(CURLOPT_SSLCERT, settings.certificate) &&
         file(CURLOPT_SSLKEY, settings.key) && set(CURLOPT_ERRORBUFFER, transfer.error.data()) &&
         set(CURLOPT_WRITEFUNCTION, &on_bytes) && set(CURLOPT_WRITEDATA, &transfer);
}

Http::Http(std::unique_ptr<Transfers> transfers) : transfers_(std::move(transfers)) {}
Http::~Http() = default;

Result<void> Http::available() {
  OM_TRY(Curl::load());
  return {};
}

Result<std::unique_ptr<Http>> Http::make(Loop& loop, Settings settings) {
  const Curl& curl = *OM_TRY(Curl::load());
  auto transfers = std::make_unique<Transfers>(curl, loop, std::move(settings));
  transfers->multi = curl.multi_init();
  if (transfers->multi == nullptr) return plain_error("libcurl has no memory");
  curl.multi_setopt(transfers->multi, CURLMOPT_SOCKETFUNCTION, &Transfers::on_socket);
  curl.multi_setopt(transfers->multi, CURLMOPT_SOCKETDATA, transfers.get());
  curl.multi_setopt(transfers->multi, CURLMOPT_TIMERFUNCTION, &Transfers::on_timer);
  curl.multi_setopt(transfers->multi, CURLMOPT_TIMERDATA, transfers.get());
  return std::unique_ptr<Http>(new Http(std::move(transfers)));
}

uint64_t Http::post(Post post, Done done) {
  Transfers& all = *transfers_;
  auto transfer = std::make_unique<Transfers::Transfer>(all.curl, all.settings.most_bytes);
  transfer->post = std::move(post);
  transfer->done = std::move(done);
  const uint64_t number = ++all.numbers;
  Transfers::Transfer& kept = *(all.open[number] = std::move(transfer));
  if (!all.prepare(kept) || all.curl.multi_add_handle(all.multi, kept.easy) != CURLM_OK) {
    // Told from the loop, like everything else.
    kept.ended = CURLE_FAILED_INIT;
    all.timer.start(Milliseconds(0), [&all] { all.act(CURL_SOCKET_TIMEOUT, 0); });
  }
  return number;
}

void Http::drop(uint64_t number) { transfers_->drop(number); }

}  // namespace om::etcd
