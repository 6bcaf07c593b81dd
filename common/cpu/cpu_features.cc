// SPDX-License-Identifier: Apache-2.0
#include "common/cpu/cpu_features.h"

#include <algorithm>

#include "common/base/text.h"

namespace om {
namespace {

// Flags that mean nothing to user code, grouped by reason, each between blanks.
constexpr std::string_view kIgnored =
    // Speed of instructions that exist anyway; hints that older CPUs execute as no-ops (prefetchw, cldemote and MPX
    // among them; MPX in use shows as live XSAVE state); MMX parts that every CPU with SSE has.
    " 3dnowprefetch cldemote erms fsrc fsrm fsrs fzrm mmxext mpx prefetchi rep_good up xtopology"
    // Clocks: user code reads them through the vDSO.
    " art constant_tsc nonstop_tsc nonstop_tsc_s3 tsc_adjust tsc_deadline_timer tsc_known_freq"
    " tsc_reliable"
    // Paging and protection that only the kernel uses. A process that uses protection keys or shadow stacks stays at
    // home (PKEYS, CET); misaligned-SSE mode, if on, shows in MXCSR.
    " fxsr_opt gbpages ibt invpcid invpcid_single la57 lam lass misalignsse mtrr nx ospke pae pat"
    " pcid pdpe1gb pge pku pse pse36 smap smep umip user_shstk xsaveerptr xsaves"
    // Kernel-only instructions and registers.
    " apic cid cpuid cpuid_fault cr8_legacy dca de enqcmd extapic extd_apicid fred lkgs mca mce"
    " monitor msr msr_imm nodeid_msr osvw osxsave pconfig pn sep skinit smx sysenter32 vme"
    " wbnoinvd wdt wrmsrns x2apic xtpr"
    // Topology and identity.
    " amd_dcm amd_htr_cores amd_ppin amd_workload_class cmp_legacy ht ia64 intel_ppin topoext"
    // Counters, tracing, debugging.
    " amd_lbr_pmc_freeze amd_lbr_v2 arch_lbr arch_perfmon bmec bpext brs bts bus_lock_detect cqm"
    " cqm_llc cqm_mbm_local cqm_mbm_total cqm_occup_llc ds_cpl dtes64 dts ibs ibs_fetch ibs_op"
    " intel_pt irperf no_nested_data_bp pdcm pebs perfctr_core perfctr_l2 perfctr_llc perfctr_nb"
    " perfmon_v2 ptsc sdbg split_lock_detect"
    // Cache and bandwidth control.
    " abmc cat_l2 cat_l3 cdp_l2 cdp_l3 mba rdt_a rdt_m smba"
    // Power, heat, frequency, machine checks.
    " acc_power acpi amd_fast_cppc aperfmperf arat cpb cppc dtherm epb est hfi hreset hw_pstate"
    " hwp hwp_act_window hwp_epp hwp_notify hwp_pkg_req ida itd overflow_recov pbe pln"
    " proc_feedback pts rapl smca ss succor tce tm tm2"
    // Speculation control and its mitigations.
    " arch_capabilities autoibrs flush_l1d ibpb ibpb_brtype ibpb_exit_to_user ibrs ibrs_enhanced"
    " kaiser l1d_flush md_clear pti retpoline retpoline_amd rrsba_ctrl rtm_always_abort sbpb"
    " srso_no ssbd stibp tsa_l1_no tsa_sq_no verw_clear virt_ssbd"
    // Virtualisation and memory encryption; hypervisors hold devices and do not move.
    " avic bus_lock_threshold debug_swap decodeassists ept ept_ad ept_violation_ve flexpriority"
    " flushbyasid hypervisor idle_hlt lbrv npt nrip_save pausefilter pfthreshold sev sev_es"
    " sev_snp sgx sgx1 sgx2 sgx_lc sme svm svm_lock svme_addr_chk tdx_guest tdx_host_platform tme"
    " tpr_shadow tsc_scale v_spec_ctrl v_vmsave_vmload vgif vm_page_flush vmcb_clean vmmcall vmx"
    " vnmi vpid x2avic xenpv"
    " ";

}  // namespace

Result<std::vector<std::string>> parse_cpu_features(std::string_view cpuinfo) {
  while (!cpuinfo.empty()) {
    std::string_view line = take_line(cpuinfo);
    size_t colon = line.find(':');
    if (colon == std::string_view::npos || trim(line.substr(0, colon)) != "flags") continue;
    std::vector<std::string> flags;
    std::string_view rest = line.substr(colon + 1);
    for (std::string_view flag = take_field(rest); !flag.empty(); flag = take_field(rest)) {
      flags.emplace_back(flag);
    }
    if (flags.empty() || flags.size() > kMaxCpuFeatures) break;
    return flags;
  }
  return Error{EBADMSG, "cpuinfo: no usable flags line"};
}

Result<std::vector<std::string>> local_cpu_features() {
  return parse_cpu_features(OM_TRY(read_text("/proc/cpuinfo")));
}

bool cpu_feature_matters(std::string_view name) {
  if (name.empty() || name.find(' ') != std::string_view::npos) return true;
  std::string word(1, ' ');
  word.append(name).append(1, ' ');
  return kIgnored.find(word) == std::string_view::npos;
}

std::vector<std::string> missing_features(const std::vector<std::string>& home,
                                          const std::vector<std::string>& target) {
  std::vector<std::string_view> have(target.begin(), target.end());
  std::sort(have.begin(), have.end());
  std::vector<std::string> missing;
  for (const std::string& flag : home) {
    if (cpu_feature_matters(flag) && !std::binary_search(have.begin(), have.end(), flag))
      missing.push_back(flag);
  }
  std::sort(missing.begin(), missing.end());
  missing.erase(std::unique(missing.begin(), missing.end()), missing.end());
  return missing;
}

}  // namespace om
