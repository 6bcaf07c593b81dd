// SPDX-License-Identifier: Apache-2.0
//
// om doctor: what this node provides and what is missing, one line each. Exit status 1 if a check fails.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/doctor_checks.h"
#include "cli/output.h"
#include "cli/verbs.h"

namespace om::cli {
namespace {

std::string coloured(Health health) {
  std::string name(health_name(health));
  name.resize(4, ' ');
  if (!stdout_colour()) return name;
  const char* colour = health == Health::kOk ? "32" : health == Health::kWarn ? "33" : "31";
  return std::string("\x1b[") + colour + "m" + name + "\x1b[0m";
}

}  // namespace

int doctor(bool json) {
  std::vector<Finding> findings = check_machine();
  for (Finding& finding : check_installation()) findings.push_back(std::move(finding));
  bool failed = std::any_of(findings.begin(), findings.end(),
                            [](const Finding& finding) { return finding.health == Health::kFail; });
  int printed = 0;
  if (json) {
    Json list = Json::array();
    for (const Finding& finding : findings) {
      list.push_back({{"check", finding.check},
                      {"status", health_name(finding.health)},
                      {"detail", finding.detail},
                      {"remedy", finding.remedy}});
    }
    printed = print_json({{"ok", !failed}, {"checks", list}});
  } else {
    std::string text;
    for (const Finding& finding : findings) {
      text +=
          coloured(finding.health) + "  " + finding.check + ": " + harmless(finding.detail) + "\n";
      if (!finding.remedy.empty()) text += "      " + finding.remedy + "\n";
    }
    printed = print_text(text);
  }
  return printed != 0 ? printed : failed ? 1 : 0;
}

}  // namespace om::cli
