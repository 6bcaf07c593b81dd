// SPDX-License-Identifier: Apache-2.0
//
// The part of Machine that reads and writes the cluster's keys.
#include <fmt/core.h>

#include <utility>

#include "common/base/base64.h"
#include "common/base/log.h"
#include "migrator/etcd/machine.h"

namespace om::etcd {

void Machine::note_malformed(const std::string& what) {
  // Who may write there could fill a log.
  if (malformed_++ < 16) out_.complaints.push_back(what + ", ignoring");
}

void Machine::read_all() {
  phase_ = Phase::kReading;
  if (watch_ != 0) {
    open_.erase(std::exchange(watch_, 0));
    out_.drop_watch = true;
  }
  // An answer of before is of another revision.
  std::erase_if(open_, [](const auto& item) { return item.second == Op::kRange; });
  reading_revision_ = 0;
  keys_read_ = 0;
  nodes_read_.clear();
  tokens_read_.clear();
  denied_stored_.clear();
  stored_key_.reset();
  stored_key_revision_ = 0;
  read_from(settings_.prefix);
}

void Machine::read_from(std::string key) {
  reading_from_ = std::move(key);
  send(Op::kRange, kRangePath,
       range_request(reading_from_, end_of(settings_.prefix), reading_revision_));
}

Result<void> Machine::take_range(const Now& now, std::string_view body) {
  if (phase_ != Phase::kReading) return {};
  const Range range = OM_TRY(read_range(body));
  keys_read_ += range.all.size();
  if (keys_read_ > kMostKeysInAll) return plain_error("etcd: too many keys");
  if (reading_revision_ == 0) reading_revision_ = range.revision;
  for (const KeyValue& kv : range.all) {
    if (kv.key < reading_from_ || kv.key >= end_of(settings_.prefix))
      return plain_error("etcd: a key that was not asked for");
    take_key(now, kv, false);
  }
  if (range.more) {
    read_from(range.all.back().key + '\0');
  } else {
    finish_reading(now, reading_revision_);
  }
  return {};
}

void Machine::finish_reading(const Now& now, int64_t revision) {
  // Others have been out of reach of etcd as well.
  settled_at_ = outage_ ? now.time + timing_.grace : now.time;
  outage_ = false;
  members_.keep(now, nodes_read_, settled_at_);
  out_.all_tokens = std::exchange(tokens_read_, {});
  phase_ = Phase::kReady;
  failing_since_.reset();
  tried_ = 0;
  trouble_.clear();
  if (std::exchange(lost_, false)) out_.back = true;
  watch_spoke_ = false;
  watch_ = send(Op::kWatch, kWatchPath,
                watch_request(settings_.prefix, end_of(settings_.prefix), revision + 1));
  // It may have gone while this node was away.
  if (!nodes_read_.contains(settings_.self.id)) put_self();
  store_denied();
  settle_key(now);
}

void Machine::watched(const Now& now, uint64_t number, std::string_view line) {
  if (number != watch_ || watch_ == 0) return;
  const auto read = read_watched(line);
  if (!read) return fail(now, read.error().text());
  if (read->canceled && read->compact_revision == 0)
    return fail(now, read->reason.empty() ? "the watch was cancelled" : read->reason);
  if (read->canceled) return read_all();
  watch_spoke_ = true;
  for (const WatchEvent& event : read->events) take_key(now, event.kv, event.deleted);
  settle_key(now);
}

void Machine::take_key(const Now& now, const KeyValue& kv, bool deleted) {
  const ParsedKey key = parse_key(settings_.prefix, kv.key);
  switch (key.kind) {
    case KeyKind::kNode: {
      if (deleted && key.node == settings_.self.id) {
        // Somebody has removed it, or the lease has ended without our knowledge.
        if (phase_ == Phase::kReady && !leaving_ && lease_ != 0) put_self();
        break;
      }
      if (deleted) {
        members_.gone(now, key.node, std::max(settled_at_, now.time));
        break;
      }
      const auto node = parse_node(kv.value);
      if (!node || node->record.id != key.node) {
        note_malformed(fmt::format("the value of {} is no node", escaped(kv.key, 200)));
        break;
      }
      if (phase_ == Phase::kReading) nodes_read_.insert(key.node);
      members_.put(now, *node);
      break;
    }
    case KeyKind::kDenied: {
      if (deleted) break;
      const auto entry = from_base64(kv.value);
      denied_stored_[key.node] = kGood;
      if (entry && take_entry(now, key.node, *entry)) break;
      note_malformed(fmt::format("the value of {} is no entry of the CA's", escaped(kv.key, 200)));
      denied_stored_[key.node] = kv.mod_revision;
      // Who has the real one puts it there.
      if (phase_ == Phase::kReady) store_denied();
      break;
    }
    case KeyKind::kToken:
      if (phase_ == Phase::kReading) tokens_read_.insert(key.token);
      out_.tokens.push_back(
          {key.token, deleted ? std::nullopt : std::optional(kv.value), kv.mod_revision});
      break;
    case KeyKind::kGroupKey:
      if (deleted) {
        stored_key_.reset();
        stored_key_revision_ = 0;
      } else {
        take_group_key(kv);
      }
      break;
    case KeyKind::kOther:
      break;
  }
}

void Machine::take_group_key(const KeyValue& kv) {
  stored_key_revision_ = kv.mod_revision;
  const auto statement = parse_key_statement(kv.value);
  if (statement) {
    stored_key_ = *statement;
  } else {
    stored_key_.reset();
    note_malformed("the value of " + escaped(kv.key, 200) + " is no number of a key");
  }
}

void Machine::use_key(const Now& now, KeyStatement own) {
  if (own_key_ == own) return;
  own_key_ = std::move(own);
  ask_for_key_at_.reset();
  settle_key(now);
}

// The newest key is the one that counts; of two with one number the members find out which (GroupKey::gives_way_to()),
// and whoever is named as the holder of the other one corrects that.
void Machine::settle_key(const Now& now) {
  if (phase_ != Phase::kReady || !own_key_) return;
  const bool same = stored_key_ && stored_key_->number == own_key_->number &&
                    stored_key_->check == own_key_->check;
  if (same) return ask_for_key_at_.reset();
  const bool holder = stored_key_ && stored_key_->number == own_key_->number &&
                      stored_key_->holder == own_key_->holder;
  if (!stored_key_ || stored_key_->number < own_key_->number || holder) {
    ask_for_key_at_.reset();
    send(
        Op::kExtra, kTxnPath,
        put_if_request(group_key_key(settings_.prefix), to_value(*own_key_), stored_key_revision_));
    // Not again before the watch has told what has become of it.
    stored_key_ = own_key_;
    return;
  }
  if (ask_for_key_at_ && now.time < *ask_for_key_at_) return;
  ask_for_key_at_ = now.time + timing_.ask_for_key;
  out_.ask_for_key = stored_key_->holder;
}

void Machine::deny(const Now& now, NodeId node, std::string_view entry) {
  if (take_entry(now, node, entry) && phase_ == Phase::kReady) store_denied();
}

// False: it is not the CA's. Two signers may have made one each.
bool Machine::take_entry(const Now& now, NodeId node, std::string_view entry) {
  const auto known = denied_.find(node);
  if (known != denied_.end() && known->second == entry) return true;
  if (!settings_.verify_deny || !settings_.verify_deny(node, entry)) return false;
  if (known == denied_.end()) {
    denied_[node] = entry;
    members_.deny(now, node);
  }
  return true;
}

void Machine::store_denied() {
  for (const auto& [node, entry] : denied_) {
    int64_t& stored = denied_stored_[node];
    if (stored == kGood) continue;
    send(Op::kExtra, kTxnPath,
         put_if_request(denied_key(settings_.prefix, node), to_base64(entry), stored));
    stored = kGood;
  }
}

}  // namespace om::etcd
