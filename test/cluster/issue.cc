// SPDX-License-Identifier: Apache-2.0
//
// Makes a member for tests: issue CA_DIR DIR NAME [AGE_S] writes into DIR what a member of the cluster of CA_DIR/ca.key
// keeps, for the key that is there or a new one. The certificate was signed AGE_S seconds ago (default 0; negative: in
// the future). A CA_DIR without a CA gets one, which was made a year ago.
#include <stdio.h>
#include <stdlib.h>

#include <string>

#include "migrator/identity/cluster_ca.h"
#include "migrator/identity/credentials.h"
#include "migrator/identity/identity.h"

namespace om::migrator {
namespace {

using std::chrono::seconds;

Result<ClusterCa> open_ca(const std::string& path, WallTime now) {
  const OwnDirectory dir = OM_TRY(OwnDirectory::make(path, 0700));
  if (dir.has(ClusterCa::kFileName)) return ClusterCa::open(dir);
  ClusterCa ca = OM_TRY(ClusterCa::make("dev", now - std::chrono::hours(365 * 24)));
  OM_TRY(ca.save(dir));
  return ca;
}

// That of the node, if it is in the same cluster already.
Result<GroupKey> group_key(const OwnDirectory& dir, const ClusterCa& ca) {
  const auto member = Credentials::open(dir);
  if (member && *member && (*member)->cluster_id() == ca.hash()) return (*member)->group_key();
  return GroupKey::make(1);
}

Result<void> issue(const std::string& ca_path, const std::string& path, const std::string& name,
                   seconds age) {
  const auto now = std::chrono::floor<seconds>(std::chrono::system_clock::now());
  const ClusterCa ca = OM_TRY(open_ca(ca_path, now));
  const OwnDirectory dir = OM_TRY(OwnDirectory::make(path, 0700));
  const Identity node = OM_TRY(Identity::open(dir));
  Credentials::Parts parts{OM_TRY(ca.sign(OM_TRY(node.request(name)), name, 9, now - age)),
                           OM_TRY(ca.certificate_pem()),
                           OM_TRY(group_key(dir, ca)),
                           {ca.cluster(), now, {}}};
  return OM_TRY(Credentials::make(std::move(parts), OM_TRY(node.key_pem()))).save(dir);
}

}  // namespace
}  // namespace om::migrator

int main(int argc, char** argv) {
  if (argc != 4 && argc != 5) return 2;
  const long age = argc == 5 ? ::atol(argv[4]) : 0;
  const auto done = om::migrator::issue(argv[1], argv[2], argv[3], std::chrono::seconds(age));
  if (done) return 0;
  ::fprintf(stderr, "issue: %s\n", done.error().text().c_str());
  return 1;
}
