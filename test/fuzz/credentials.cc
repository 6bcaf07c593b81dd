// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: the files of a member that are of a format of our own (migrator/identity/cluster_files.h). What was read
// is within its limits, and is read again from what is written of it.
#include "migrator/identity/cluster_files.h"

#include "common/base/text.h"
#include "common/net/address.h"
#include "test/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using om::fuzz::require;
  const std::string text(om::fuzz::text_of(data, size));
  if (auto key = om::migrator::parse_group_key(text)) {
    require(key->bytes.size() == om::migrator::kGroupKeyBytes);
    auto again = om::migrator::parse_group_key(om::migrator::to_text(*key));
    require(again.ok() && *again == *key);
  }
  if (auto info = om::migrator::parse_cluster_info(text)) {
    require(info->contacts.size() <= om::migrator::kMaxContacts);
    for (const auto& contact : info->contacts) require(om::Address::could_be(contact.address));
    auto again = om::migrator::parse_cluster_info(om::migrator::to_text(*info));
    require(again.ok() && *again == *info);
  }
  return 0;
}
