// SPDX-License-Identifier: Apache-2.0
#include "migrator/etcd/service.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "common/base/log.h"

namespace om::etcd {
namespace {

constexpr Milliseconds kMostWait{60000};

}  // namespace

Result<std::unique_ptr<Service>> Service::create(Loop& loop, const Clock& clock, Settings settings,
                                                 Events events) {
  settings.machine.endpoints = settings.endpoints.size();
  auto http = OM_TRY(Http::make(loop, settings.http));
  return std::unique_ptr<Service>(
      new Service(loop, clock, std::move(settings), std::move(http), std::move(events)));
}

Service::Service(Loop& loop, const Clock& clock, Settings settings, std::unique_ptr<Http> http,
                 Events events)
    : clock_(clock),
      endpoints_(std::move(settings.endpoints)),
      prefix_(settings.machine.prefix),
      events_(std::move(events)),
      http_(std::move(http)),
      machine_(std::move(settings.machine)),
      timer_(loop) {}

Service::~Service() = default;

void Service::start() {
  machine_.start();
  settle();
}

void Service::send(Machine::Request request) {
  const uint64_t number = request.number;
  Http::Post post;
  post.url = endpoints_[machine_.endpoint()] + request.path;
  post.token = machine_.token();
  post.body = std::move(request.body);
  post.limit = request.limit;
  if (request.limit == Milliseconds(0)) {
    watch_ = number;
    post.on_line = [this, number](std::string_view line) {
      machine_.watched(now(), number, line);
      settle();
    };
  }
  const std::string& endpoint = endpoints_[machine_.endpoint()];
  posts_[number] =
      http_->post(std::move(post), [this, number, endpoint](Result<Http::Answer> answer) {
        posts_.erase(number);
        if (answer) {
          machine_.answered(now(), number, answer->status, answer->body);
        } else {
          machine_.failed(now(), number, endpoint + ": " + answer.error().text());
        }
        settle();
      });
}

void Service::settle() {
  Machine::Output output = machine_.take_output();
  if (output.reset) {
    for (const auto& [number, post] : std::exchange(posts_, {})) http_->drop(post);
  } else if (output.drop_watch) {
    const auto at = posts_.find(watch_);
    if (at != posts_.end()) {
      http_->drop(at->second);
      posts_.erase(at);
    }
  }
  for (Machine::Request& request : output.requests) send(std::move(request));
  for (const std::string& complaint : output.complaints) log_warn("etcd", "{}", complaint);
  for (const MemberChange& change : output.changes) events_.on_change(change);
  for (const Machine::TokenChange& token : output.tokens) events_.on_token(token);
  if (output.all_tokens) events_.on_all_tokens(*output.all_tokens);
  if (output.ask_for_key) events_.on_unknown_key(*output.ask_for_key);
  if (output.lost) events_.on_reach(output.lost);
  if (output.back) events_.on_reach(std::nullopt);
  call_waiting();
  arm();
}

void Service::arm() {
  const MonotonicTime next = machine_.next_wake();
  const MonotonicTime time = clock_.now();
  const auto wait = next >= time + kMostWait
                        ? kMostWait
                        : std::max(Milliseconds(0), std::chrono::ceil<Milliseconds>(next - time));
  timer_.start(wait, [this] {
    machine_.tick(now());
    settle();
  });
}

void Service::call_waiting() {
  if (waiting_.empty() || (!machine_.ready() && machine_.trouble().empty())) return;
  for (Call& each : std::exchange(waiting_, {}))
    call(each.path, std::move(each.body), std::move(each.done));
}

void Service::call(const char* path, std::string body, Done done) {
  if (!machine_.ready()) {
    const std::string why = machine_.trouble();
    if (!why.empty()) return done(plain_error("etcd cannot be reached: " + why));
    if (waiting_.size() >= kMostWaiting) return done(plain_error("etcd is busy"));
    waiting_.push_back({path, std::move(body), std::move(done)});
    return;
  }
  Http::Post post;
  post.url = endpoints_[machine_.endpoint()] + path;
  post.token = machine_.token();
  post.body = std::move(body);
  post.limit = Timing{}.read;
  http_->post(std::move(post), [done = std::move(done)](Result<Http::Answer> answer) {
    if (!answer) return done(plain_error("etcd cannot be reached: " + answer.error().text()));
    if (answer->status != 200)
      return done(plain_error("etcd: " + read_complaint(answer->status, answer->body).text));
    done(std::move(answer->body));
  });
}

void Service::restate(uint64_t features) {
  machine_.restate(now(), features);
  settle();
}

void Service::use_key(KeyStatement own) {
  machine_.use_key(now(), std::move(own));
  settle();
}

void Service::deny(NodeId node, std::string_view entry) {
  machine_.deny(now(), node, entry);
  settle();
}

void Service::leave() {
  machine_.leave(now());
  settle();
}

void Service::read_again() {
  machine_.read_again();
  settle();
}

}  // namespace om::etcd
