// SPDX-License-Identifier: Apache-2.0
#include "cli/cluster_identity.h"

#include "migrator/identity/credentials.h"
#include "migrator/identity/identity.h"

namespace om::cli {

using migrator::ClusterCa;
using migrator::Credentials;
using migrator::GroupKey;
using migrator::Identity;

Result<LocalCa> LocalCa::make(const OwnDirectory& dir) {
  ClusterCa ca = OM_TRY(ClusterCa::make(kCluster, std::chrono::system_clock::now()));
  OM_TRY(ca.save(dir));
  return LocalCa(std::move(ca), OM_TRY(GroupKey::make(1)));
}

Result<void> LocalCa::admit(const OwnDirectory& node_dir, const std::string& name,
                            uint32_t number) const {
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  const OwnDirectory folder = OM_TRY(node_dir.make_inside(kFolder, 0700));
  const Identity node = OM_TRY(Identity::open(folder));
  Credentials::Parts parts{OM_TRY(ca_.sign(OM_TRY(node.request(name)), name, number, now)),
                           OM_TRY(ca_.certificate_pem()),
                           group_key_,
                           {ca_.cluster(), now, {}}};
  const Credentials member = OM_TRY(Credentials::make(std::move(parts), OM_TRY(node.key_pem())));
  return member.save(folder);
}

}  // namespace om::cli
