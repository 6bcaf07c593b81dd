// SPDX-License-Identifier: Apache-2.0
//
// The messages of etcd (version 3) as its JSON gateway has them: requests are written, answers read and checked. Keys
// and values are base64 there, 64-bit numbers are strings. Pure. What an answer says beyond what is needed is ignored,
// what it lacks has the default of protobuf (0, "", false); what is there and of another form is an error.
#pragma once

#include <stdint.h>

#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace om::etcd {

constexpr size_t kMaxKeyBytes = 256;
constexpr size_t kMaxValueBytes = 4096;
// Keys in one answer to a range, events in one message of a watch.
constexpr size_t kMostKeys = 256;
constexpr size_t kMostEvents = 8192;
// Of an answer, and of a message of a watch.
constexpr size_t kMaxAnswerBytes = 4 << 20;

struct KeyValue {
  std::string key;
  std::string value;
  int64_t mod_revision = 0;
};

struct Range {
  int64_t revision = 0;  // of the store
  std::vector<KeyValue> all;
  bool more = false;  // beyond the limit of the request
};

struct WatchEvent {
  bool deleted = false;  // by somebody, or because its lease has ended
  KeyValue kv;
};

struct Watched {
  int64_t revision = 0;
  bool canceled = false;
  int64_t compact_revision = 0;  // not 0: what was asked for is gone
  std::string reason;
  std::vector<WatchEvent> events;
};

struct Lease {
  int64_t id = 0;
  int64_t ttl_s = 0;  // 0: it has ended
};

struct Outcome {
  bool succeeded = false;
  int64_t revision = 0;
};

// Why etcd did not do it.
struct Complaint {
  int code = 0;  // of gRPC
  std::string text;
};
// Codes that mean something here: the token of authentication has ended; not allowed; nobody leads, or the like.
constexpr int kUnauthenticated = 16, kInvalidArgument = 3, kPermissionDenied = 7;

// Where to POST each request.
constexpr const char *kRangePath = "/v3/kv/range", *kPutPath = "/v3/kv/put",
                     *kDeletePath = "/v3/kv/deleterange", *kTxnPath = "/v3/kv/txn",
                     *kGrantPath = "/v3/lease/grant", *kKeepAlivePath = "/v3/lease/keepalive",
                     *kWatchPath = "/v3/watch", *kAuthenticatePath = "/v3/auth/authenticate";

// The first key that has no longer this prefix, which is not empty and does not end with 0xff.
std::string end_of(std::string prefix);

std::string authenticate_request(const std::string& user, const std::string& password);
std::string grant_request(int64_t ttl_s);
std::string keep_alive_request(int64_t lease);
// From `key` on, before `end`, at most kMostKeys; an empty `end`: this key. `revision` 0: of now.
std::string range_request(std::string_view key, std::string_view end, int64_t revision);
std::string put_request(std::string_view key, std::string_view value, int64_t lease);
std::string delete_request(std::string_view key);
// Only if the key is still as it was at `mod_revision`; 0: if there is none.
std::string put_if_request(std::string_view key, std::string_view value, int64_t mod_revision);
std::string watch_request(std::string_view key, std::string_view end, int64_t start_revision);

// Errors: EBADMSG, with what is wrong.
Result<std::string> read_token(std::string_view answer);
Result<Lease> read_lease(std::string_view answer);
// One line, as it is a stream.
Result<Lease> read_kept_alive(std::string_view answer);
Result<Range> read_range(std::string_view answer);
Result<Outcome> read_outcome(std::string_view answer);
// A line of a watch. An Error without errno: etcd says that the watch has failed.
Result<Watched> read_watched(std::string_view line);
// The body of an answer that is none (HTTP status other than 200). Anything is read.
Complaint read_complaint(long status, std::string_view answer);

}  // namespace om::etcd
