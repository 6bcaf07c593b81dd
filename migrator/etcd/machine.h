// SPDX-License-Identifier: Apache-2.0
//
// The membership of one node by etcd: the state machine. Pure: the time and etcd's answers go in; requests and changes
// come out (take_output()). The caller sends them, ticks at next_wake() or before, and after each call carries out the
// output.
//
// With one endpoint at a time, in this order: authentication, if a user is given; a lease, the one of before if it is
// still there; this node's record under it; all keys of the cluster; a watch from there on. Then the lease is kept
// alive at a third of its life. Whatever fails, all of it begins again at the next endpoint, and after the last one
// after a pause. A watch that ends or was compacted is replaced by reading all keys again.
//
// Without etcd nothing changes: members stay what they are. When it is back, a member whose key is not there has
// kGrace to put it again before it is down.
#pragma once

#include <stdint.h>

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "migrator/etcd/member_map.h"
#include "migrator/etcd/messages.h"

namespace om::etcd {

struct Timing {
  int64_t ttl_s = 4;               // of the lease
  int64_t left_ttl_s = 3600;       // of a farewell
  Milliseconds keep_alive{1300};   // between renewals of the lease
  Milliseconds request{1000};      // until an answer: two endpoints may be silent within a lease
  Milliseconds read{5000};         // the same for a piece of all keys
  Milliseconds lost_after{2500};   // of failures until that is an event
  Milliseconds retry{500};         // after all endpoints have failed
  Milliseconds grace{6000};        // longer than a lease and the way back to etcd
  Milliseconds ask_for_key{5000};  // between questions for a group key
};

class Machine {
 public:
  static constexpr size_t kMostKeysInAll = 65536;

  struct Settings {
    std::string prefix;        // prefix_of()
    members::NodeRecord self;  // complete
    size_t endpoints = 1;
    std::string user{}, password{};  // empty: none
    size_t most_members = 16384;
    Timing timing{};
    // Whether `entry` denies `node` and was signed by the CA.
    std::function<bool(NodeId node, std::string_view entry)> verify_deny{};
  };
  struct Request {
    uint64_t number = 0;
    const char* path = nullptr;
    std::string body;
    Milliseconds limit{0};  // 0: a watch, whose lines go to watched()
  };
  struct TokenChange {
    std::string id;
    std::optional<std::string> value;  // nullopt: it is gone
    int64_t mod_revision = 0;
  };
  struct Output {
    bool reset = false;  // what is under way, the watch as well, is dropped first
    bool drop_watch = false;
    std::vector<Request> requests;
    std::vector<MemberChange> changes;
    std::vector<TokenChange> tokens;
    std::optional<std::set<std::string>> all_tokens;  // after reading all: those that there are
    std::optional<std::string> ask_for_key;           // of the node of this name
    std::optional<std::string> lost;                  // etcd is out of reach, and why
    bool back = false;
    std::vector<std::string> complaints;  // for the log
  };

  explicit Machine(Settings settings);

  void start() { begin(); }
  // HTTP status and body.
  void answered(const Now& now, uint64_t number, long status, std::string_view body);
  // There was no answer; for a watch: it has ended.
  void failed(const Now& now, uint64_t number, const std::string& why);
  void watched(const Now& now, uint64_t number, std::string_view line);
  void tick(const Now& now);
  MonotonicTime next_wake() const;

  void restate(const Now& now, uint64_t features);
  void use_key(const Now& now, KeyStatement own);
  void deny(const Now& now, NodeId node, std::string_view entry);
  void leave(const Now& now);
  // Reads all keys once more, so that all is told again.
  void read_again() {
    if (phase_ == Phase::kReady) read_all();
  }

  const MemberMap& members() const { return members_; }
  // Which of the endpoints requests go to, and with which token of authentication; empty: none.
  size_t endpoint() const { return endpoint_; }
  const std::string& token() const { return token_; }
  bool ready() const { return phase_ == Phase::kReady; }
  // Why it is not ready; empty: it has only begun, and not all endpoints have failed yet.
  std::string trouble() const { return tried_ >= settings_.endpoints ? trouble_ : ""; }
  uint64_t malformed() const { return malformed_; }
  Output take_output();

 private:
  enum class Phase : uint8_t { kWaiting, kConnecting, kReading, kReady };
  enum class Op : uint8_t {
    kAuthenticate,
    kGrant,
    kKeepAlive,
    kPutSelf,
    kRange,
    kWatch,
    kExtra,
    kGrantLeft,
    kPutLeft
  };

  void begin();
  void fail(const Now& now, const std::string& why);
  uint64_t send(Op op, const char* path, std::string body);
  void refused(const Now& now, Op op, const Complaint& complaint);
  Result<void> take(const Now& now, Op op, std::string_view body);
  void have_lease(const Now& now);
  void ask_for_lease();
  void put_self();
  void read_all();
  void read_from(std::string key);
  Result<void> take_range(const Now& now, std::string_view body);
  void finish_reading(const Now& now, int64_t revision);
  void take_key(const Now& now, const KeyValue& kv, bool deleted);
  void take_group_key(const KeyValue& kv);
  void settle_key(const Now& now);
  bool take_entry(const Now& now, NodeId node, std::string_view entry);
  void store_denied();
  void note_malformed(const std::string& what);

  static constexpr int64_t kGood = -1;

  Settings settings_;
  Timing timing_;
  MemberMap members_;
  Phase phase_ = Phase::kWaiting;
  size_t endpoint_ = 0;
  size_t tried_ = 0;  // endpoints that have failed in a row
  std::string token_;
  int64_t lease_ = 0;
  uint64_t numbers_ = 0;  // of requests
  std::map<uint64_t, Op> open_;
  uint64_t watch_ = 0;  // number of the watch; 0: none
  bool watch_spoke_ = false;
  bool leaving_ = false;
  bool outage_ = false;  // etcd was out of reach, or may have lost our lease, since all was read
  bool lost_ = false;    // and that was said
  std::string trouble_;
  std::optional<MonotonicTime> failing_since_, retry_at_, keep_alive_at_;
  MonotonicTime settled_at_{};  // keys that go before are not believed at once
  // What is being read.
  std::string reading_from_;
  int64_t reading_revision_ = 0;
  size_t keys_read_ = 0;
  std::set<NodeId> nodes_read_;
  std::set<std::string> tokens_read_;
  std::map<NodeId, std::string> denied_;  // entries that have been verified
  std::map<NodeId, int64_t>
      denied_stored_;  // revisions of keys; kGood: of a verified entry, or on its way
  std::optional<KeyStatement> own_key_, stored_key_;
  int64_t stored_key_revision_ = 0;
  std::optional<MonotonicTime> ask_for_key_at_;
  uint64_t malformed_ = 0;
  Output out_;
};

}  // namespace om::etcd
