// SPDX-License-Identifier: Apache-2.0
#include "migrator/identity/deny.h"

#include <errno.h>
#include <openssl/err.h>

#include <algorithm>
#include <chrono>

#include "common/base/bytes.h"
#include "common/base/names.h"

namespace om::migrator {
namespace {

constexpr std::string_view kPurpose = "om deny 1\n";
constexpr uint64_t kMaxSeconds = uint64_t{1} << 33;
// A DER sequence of two numbers of up to 33 bytes.
constexpr size_t kMinSignature = 8, kMaxSignature = 72;

using DigestPtr = std::unique_ptr<EVP_MD_CTX, OpensslFree<EVP_MD_CTX_free>>;

Error bad_entry(const char* what) { return Error{EBADMSG, std::string("deny entry: ") + what}; }

bool printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

std::string with_size(const std::string& text) {
  return std::string(1, static_cast<char>(text.size())) + text;
}

std::string_view signed_part(const DenyEntry& entry) {
  const size_t size = kPurpose.size() + sizeof entry.node.bytes + sizeof(uint64_t) + 1 +
                      entry.name.size() + 1 + entry.reason.size();
  return std::string_view(entry.bytes).substr(0, size);
}

}  // namespace

Result<DenyEntry> make_deny(const ClusterCa& ca, const NodeId& node, const std::string& name,
                            WallTime time, const std::string& reason) {
  if (!valid_node_name(name)) return plain_error("\"" + name + "\" is no node name");
  if (reason.size() > kMaxDenyReason || !printable(reason))
    return plain_error("a reason has up to 200 printable characters");
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
  std::string bytes(kPurpose);
  put_bytes(bytes, node.bytes);
  put_number(bytes, static_cast<uint64_t>(seconds));
  bytes += with_size(name) + with_size(reason);
  return parse_deny(bytes + OM_TRY(ca.sign_text(bytes)));
}

Result<DenyEntry> parse_deny(std::string_view bytes) {
  DenyEntry entry;
  entry.bytes = bytes;
  if (bytes.size() > kMaxDenyBytes) return bad_entry("it is too long");
  ByteReader in(bytes);
  if (in.take(kPurpose.size()) != kPurpose) return bad_entry("it is another text");
  entry.node.bytes = in.bytes<sizeof entry.node.bytes>();
  const auto seconds = in.number<uint64_t>();
  const std::string_view name = in.short_text(), reason = in.short_text();
  if (!in.good()) return bad_entry("it is cut off");
  if (!valid_node_name(name)) return bad_entry("no node name");
  if (reason.size() > kMaxDenyReason || !printable(reason)) return bad_entry("its reason");
  if (seconds > kMaxSeconds) return bad_entry("its time");
  const size_t signature = in.rest().size();
  if (signature < kMinSignature || signature > kMaxSignature) return bad_entry("no signature");
  entry.name = name;
  entry.reason = reason;
  entry.time = WallTime(std::chrono::seconds(seconds));
  return entry;
}

std::string removal_text(const DenyEntry& entry) {
  return entry.reason.empty() ? "removed" : "removed: " + entry.reason;
}

Result<DenyVerifier> DenyVerifier::make(std::string_view ca_pem) {
  const X509Ptr certificate = OM_TRY(certificate_from_pem(ca_pem));
  KeyPtr key(::X509_get_pubkey(certificate.get()));
  if (key == nullptr) return openssl_error("the CA's key");
  return DenyVerifier(std::move(key));
}

Result<DenyEntry> DenyVerifier::verify(std::string_view bytes) const {
  DenyEntry entry = OM_TRY(parse_deny(bytes));
  const std::string_view text = signed_part(entry);
  const std::string_view signature = std::string_view(entry.bytes).substr(text.size());
  const DigestPtr digest(::EVP_MD_CTX_new());
  auto raw = [](std::string_view part) {
    return reinterpret_cast<const unsigned char*>(part.data());
  };
  const bool genuine =
      digest != nullptr &&
      ::EVP_DigestVerifyInit(digest.get(), nullptr, ::EVP_sha256(), nullptr, key_.get()) == 1 &&
      ::EVP_DigestVerify(digest.get(), raw(signature), signature.size(), raw(text), text.size()) ==
          1;
  ::ERR_clear_error();
  if (!genuine) return bad_entry("it is not signed by the cluster's CA");
  return entry;
}

}  // namespace om::migrator
