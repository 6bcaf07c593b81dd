// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: the line by which a machine joins (migrator/identity/token.h), and the file in which a signer keeps its
// tokens (migrator/identity/token_store.h). A token that parses is what its text says; what was read from the file is
// within its limits.
#include "migrator/identity/token.h"
#include "migrator/identity/token_store.h"

#include "common/base/text.h"
#include "test/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using om::fuzz::require;
  using om::migrator::Token;
  const std::string_view text = om::fuzz::text_of(data, size);
  if (auto bytes = om::migrator::from_base32(text))
    require(om::migrator::to_base32(*bytes) == text);
  if (auto token = Token::parse(text)) {
    require(text.find(token->text()) != text.npos);
    require(token->id.size() == om::migrator::kTokenIdBytes);
    require(token->secret.size() == om::migrator::kTokenSecretBytes);
    require(token->ca_hash.size() == 32);
  }
  if (auto tokens = om::migrator::parse_tokens(std::string(text))) {
    require(tokens->size() <= om::migrator::kMaxTokens);
    for (const auto& [id, entry] : *tokens) {
      require(id.size() == 8 && entry.proof_key.size() == 32);
      require(entry.users.size() <= om::migrator::kMaxRememberedUses);
      require(entry.uses_left >= 0 && entry.uses_left <= om::migrator::kMaxTokenUses);
    }
  }
  return 0;
}
