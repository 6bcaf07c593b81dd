// SPDX-License-Identifier: Apache-2.0
//
// The part of Machine that is about the way to etcd: lease, requests, failures. What the keys say is in
// machine_keys.cc.
#include "migrator/etcd/machine.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace om::etcd {

Machine::Machine(Settings settings)
    : settings_(std::move(settings)),
      timing_(settings_.timing),
      members_(settings_.self.id, settings_.most_members) {}

Machine::Output Machine::take_output() {
  for (MemberChange& change : members_.take_changes()) out_.changes.push_back(std::move(change));
  return std::exchange(out_, {});
}

uint64_t Machine::send(Op op, const char* path, std::string body) {
  const Milliseconds limit = op == Op::kWatch   ? Milliseconds(0)
                             : op == Op::kRange ? timing_.read
                                                : timing_.request;
  out_.requests.push_back({++numbers_, path, std::move(body), limit});
  open_[numbers_] = op;
  return numbers_;
}

void Machine::begin() {
  phase_ = Phase::kConnecting;
  retry_at_.reset();
  if (settings_.user.empty() || !token_.empty()) return ask_for_lease();
  send(Op::kAuthenticate, kAuthenticatePath,
       authenticate_request(settings_.user, settings_.password));
}

void Machine::ask_for_lease() {
  keep_alive_at_.reset();
  if (lease_ != 0) {
    send(Op::kKeepAlive, kKeepAlivePath, keep_alive_request(lease_));
  } else {
    send(Op::kGrant, kGrantPath, grant_request(timing_.ttl_s));
  }
}

void Machine::have_lease(const Now& now) {
  keep_alive_at_ = now.time + timing_.keep_alive;
  if (phase_ == Phase::kConnecting) put_self();
}

void Machine::put_self() {
  if (leaving_ || lease_ == 0) return;
  send(Op::kPutSelf, kPutPath,
       put_request(node_key(settings_.prefix, settings_.self.id),
                   to_value(NodeState{settings_.self, false}), lease_));
}

void Machine::fail(const Now& now, const std::string& why) {
  trouble_ = why;
  if (!failing_since_) failing_since_ = now.time;
  phase_ = Phase::kWaiting;
  outage_ = true;
  open_.clear();
  out_.requests.clear();
  out_.reset = true;
  watch_ = 0;
  members_.suspend();
  ask_for_key_at_.reset();
  token_.clear();  // another endpoint may be another etcd
  keep_alive_at_.reset();
  endpoint_ = (endpoint_ + 1) % settings_.endpoints;
  ++tried_;
  retry_at_ = now.time + (tried_ % settings_.endpoints == 0 ? timing_.retry : Milliseconds(0));
}

void Machine::failed(const Now& now, uint64_t number, const std::string& why) {
  const auto at = open_.find(number);
  if (at == open_.end()) return;
  const Op op = at->second;
  open_.erase(at);
  if (op == Op::kWatch && std::exchange(watch_, 0) == number && watch_spoke_) return read_all();
  fail(now, why);
}

void Machine::refused(const Now& now, Op op, const Complaint& complaint) {
  const bool no_lease = complaint.text.find("lease not found") != std::string::npos;
  if (no_lease && (op == Op::kKeepAlive || op == Op::kPutSelf)) {
    lease_ = 0;
    outage_ = true;
    phase_ = Phase::kConnecting;
    return ask_for_lease();
  }
  // What is written besides is looked at again when all is read.
  if (op == Op::kExtra && complaint.code != kUnauthenticated) {
    out_.complaints.push_back(complaint.text);
    return;
  }
  fail(now, complaint.text);
}

void Machine::answered(const Now& now, uint64_t number, long status, std::string_view body) {
  const auto at = open_.find(number);
  if (at == open_.end()) return;
  const Op op = at->second;
  if (op == Op::kWatch) {
    if (status != 200) watch_spoke_ = false;
    return failed(now, number,
                  status == 200 ? "the watch has ended" : read_complaint(status, body).text);
  }
  open_.erase(at);
  if (status != 200) return refused(now, op, read_complaint(status, body));
  if (auto taken = take(now, op, body); !taken) fail(now, taken.error().text());
}

Result<void> Machine::take(const Now& now, Op op, std::string_view body) {
  switch (op) {
    case Op::kAuthenticate:
      token_ = OM_TRY(read_token(body));
      ask_for_lease();
      break;
    case Op::kGrant:
      lease_ = OM_TRY(read_lease(body)).id;
      have_lease(now);
      break;
    case Op::kKeepAlive:
      if (OM_TRY(read_kept_alive(body)).ttl_s > 0) {
        have_lease(now);
      } else {
        refused(now, op, {0, "lease not found"});
      }
      break;
    case Op::kPutSelf:
      OM_TRY(read_outcome(body));
      if (phase_ == Phase::kConnecting) read_all();
      break;
    case Op::kRange:
      return take_range(now, body);
    case Op::kGrantLeft: {
      const Lease lease = OM_TRY(read_lease(body));
      send(Op::kPutLeft, kPutPath,
           put_request(node_key(settings_.prefix, settings_.self.id),
                       to_value(NodeState{settings_.self, true}), lease.id));
      break;
    }
    case Op::kExtra:
    case Op::kPutLeft:
    case Op::kWatch:
      break;
  }
  return {};
}

void Machine::tick(const Now& now) {
  members_.tick(now);
  if (retry_at_ && now.time >= *retry_at_) begin();
  if (failing_since_ && !lost_ && now.time - *failing_since_ >= timing_.lost_after) {
    lost_ = true;
    out_.lost = trouble_;
  }
  if (keep_alive_at_ && now.time >= *keep_alive_at_) ask_for_lease();
  settle_key(now);
}

MonotonicTime Machine::next_wake() const {
  std::optional<MonotonicTime> next = members_.next_wake();
  const auto consider = [&](std::optional<MonotonicTime> time) {
    if (time && (!next || *time < *next)) next = time;
  };
  consider(retry_at_);
  consider(keep_alive_at_);
  if (phase_ == Phase::kReady) consider(ask_for_key_at_);
  if (failing_since_ && !lost_) consider(*failing_since_ + timing_.lost_after);
  return next.value_or(MonotonicTime::max());
}

void Machine::restate(const Now&, uint64_t features) {
  if (std::exchange(settings_.self.features, features) == features) return;
  if (phase_ == Phase::kReading || phase_ == Phase::kReady) put_self();
}

// The lease of this life ends with the daemon; who reads all later is to know as well.
void Machine::leave(const Now&) {
  leaving_ = true;
  if (phase_ == Phase::kWaiting) return;
  send(Op::kGrantLeft, kGrantPath, grant_request(timing_.left_ttl_s));
}

}  // namespace om::etcd
