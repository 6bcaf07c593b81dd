// SPDX-License-Identifier: Apache-2.0
//
// common/cpu/cpu_features.h: parsing, and comparing the lists of real machines: an AMD Zen 4, an Intel Skylake server
// and a Haswell without TSX.
#include <doctest/doctest.h>
#include <errno.h>

#include <algorithm>
#include <string>
#include <vector>

#include "common/cpu/cpu_features.h"

namespace om {
namespace {

using Names = std::vector<std::string>;

Names words(std::string_view text) { return *parse_cpu_features("flags : " + std::string(text)); }

const Names kHaswell = words(
    "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse "
    "sse2 ss ht "
    "syscall nx pdpe1gb rdtscp lm constant_tsc arch_perfmon rep_good nopl xtopology cpuid "
    "tsc_known_freq pni "
    "pclmulqdq vmx ssse3 fma cx16 pcid sse4_1 sse4_2 x2apic movbe popcnt tsc_deadline_timer aes "
    "xsave avx f16c "
    "rdrand hypervisor lahf_lm abm cpuid_fault pti ssbd ibrs ibpb stibp tpr_shadow flexpriority "
    "ept vpid ept_ad "
    "fsgsbase tsc_adjust bmi1 avx2 smep bmi2 erms invpcid xsaveopt arat vnmi umip md_clear "
    "arch_capabilities");

const Names kSkylake = words(
    "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse "
    "sse2 ss ht "
    "syscall nx pdpe1gb rdtscp lm constant_tsc arch_perfmon rep_good nopl xtopology nonstop_tsc "
    "cpuid aperfmperf "
    "pni pclmulqdq monitor ssse3 fma cx16 pcid sse4_1 sse4_2 x2apic movbe popcnt aes xsave avx "
    "f16c rdrand "
    "hypervisor lahf_lm abm 3dnowprefetch cpuid_fault pti ssbd ibrs ibpb stibp fsgsbase tsc_adjust "
    "bmi1 hle avx2 "
    "smep bmi2 erms invpcid rtm mpx avx512f avx512dq rdseed adx smap clflushopt clwb avx512cd "
    "avx512bw avx512vl "
    "xsaveopt xsavec xgetbv1 xsaves arat umip pku ospke md_clear arch_capabilities");

const Names kZen4 = words(
    "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse "
    "sse2 ht syscall "
    "nx mmxext fxsr_opt pdpe1gb rdtscp lm constant_tsc rep_good nopl xtopology nonstop_tsc cpuid "
    "extd_apicid "
    "tsc_known_freq pni pclmulqdq ssse3 fma cx16 pcid sse4_1 sse4_2 x2apic movbe popcnt "
    "tsc_deadline_timer aes "
    "xsave avx f16c rdrand hypervisor lahf_lm cmp_legacy cr8_legacy abm sse4a misalignsse "
    "3dnowprefetch osvw "
    "topoext vmmcall fsgsbase tsc_adjust bmi1 avx2 smep bmi2 erms invpcid avx512f avx512dq rdseed "
    "adx smap "
    "avx512ifma clflushopt clwb avx512cd sha_ni avx512bw avx512vl xsaveopt xsavec xgetbv1 xsaves "
    "avx512_bf16 clzero "
    "xsaveerptr arat avx512vbmi umip avx512_vbmi2 gfni vaes vpclmulqdq avx512_vnni avx512_bitalg "
    "avx512_vpopcntdq "
    "rdpid fsrm");

TEST_CASE("the first processor's flags line is taken") {
  CHECK(*parse_cpu_features(
            "processor\t: 0\nmodel name\t: x\nflags\t\t: fpu vme  sse \nbugs\t\t: y\n\n"
            "processor\t: 1\nflags\t\t: other\n") == Names{"fpu", "vme", "sse"});
  CHECK(*parse_cpu_features("vmx flags\t: ept\nflags : a") == Names{"a"});
  CHECK(parse_cpu_features("").error().err == EBADMSG);
  CHECK(parse_cpu_features("flags\n").error().err == EBADMSG);
  CHECK(parse_cpu_features("flags :\n").error().err == EBADMSG);
  CHECK(parse_cpu_features("Features : neon\n").error().err == EBADMSG);
  std::string many = "flags :";
  for (size_t i = 0; i <= kMaxCpuFeatures; ++i) many += " x";
  CHECK(parse_cpu_features(many).error().err == EBADMSG);
}

TEST_CASE("this machine has what every x86-64 has") {
  Result<Names> local = local_cpu_features();
  REQUIRE(local.ok());
  for (const char* name : {"fpu", "sse2", "syscall", "lm"}) {
    CHECK_MESSAGE(std::find(local->begin(), local->end(), name) != local->end(), name);
  }
  CHECK(missing_features(*local, *local).empty());
}

TEST_CASE("what user code can depend on matters") {
  for (const char* name :
       {"rtm",       "hle",      "xsave",    "xsavec",      "xsaveopt",    "xgetbv1",  "avx",
        "avx2",      "avx512f",  "avx512vl", "avx512_vnni", "avx512_fp16", "avx_vnni", "amx_tile",
        "amx_int8",  "sha_ni",   "aes",      "vaes",        "gfni",        "bmi1",     "bmi2",
        "adx",       "rdrand",   "rdseed",   "rdpid",       "rdtscp",      "fsgsbase", "clflushopt",
        "clwb",      "movbe",    "popcnt",   "abm",         "fma",         "f16c",     "cx16",
        "lahf_lm",   "sse4a",    "clzero",   "rdpru",       "mwaitx",      "waitpkg",  "movdiri",
        "serialize", "cmpccxadd"}) {
    CHECK_MESSAGE(cpu_feature_matters(name), name);
  }
  CHECK(cpu_feature_matters("a_feature_of_2040"));
  CHECK(cpu_feature_matters(""));
  CHECK(cpu_feature_matters(" "));
  CHECK(cpu_feature_matters("erms fsrc"));
}

TEST_CASE("what it cannot does not") {
  for (const char* name :
       {"erms",  "fsrm",    "constant_tsc", "hypervisor",  "arch_perfmon", "ibrs",     "ibpb",
        "stibp", "ssbd",    "pti",          "md_clear",    "vmx",          "svm",      "ept",
        "smep",  "smap",    "umip",         "pcid",        "invpcid",      "la57",     "pku",
        "ospke", "nx",      "pdpe1gb",      "xsaves",      "arat",         "monitor",  "x2apic",
        "ht",    "topoext", "mmxext",       "misalignsse", "user_shstk",   "intel_pt", "mpx"}) {
    CHECK_MESSAGE(!cpu_feature_matters(name), name);
  }
}

TEST_CASE("between real machines") {
  CHECK(missing_features(kHaswell, kSkylake).empty());
  CHECK(missing_features(kHaswell, kZen4).empty());
  CHECK(missing_features(kSkylake, kZen4) == Names{"hle", "rtm"});
  CHECK(missing_features(kSkylake, kHaswell) == Names{"adx", "avx512bw", "avx512cd", "avx512dq",
                                                      "avx512f", "avx512vl", "clflushopt", "clwb",
                                                      "hle", "rdseed", "rtm", "xgetbv1", "xsavec"});
  CHECK(missing_features(kZen4, kSkylake) == Names{"avx512_bf16", "avx512_bitalg", "avx512_vbmi2",
                                                   "avx512_vnni", "avx512_vpopcntdq", "avx512ifma",
                                                   "avx512vbmi", "clzero", "gfni", "rdpid",
                                                   "sha_ni", "sse4a", "vaes", "vpclmulqdq"});
}

TEST_CASE("order and repetition do not matter") {
  CHECK(missing_features({}, {}).empty());
  CHECK(missing_features({}, kZen4).empty());
  CHECK(missing_features({"sse", "avx", "avx", "erms"}, {"fpu"}) == Names{"avx", "sse"});
  CHECK(missing_features({"avx", "sse"}, {"sse", "fpu", "avx", "fpu"}).empty());
  Names reversed(kZen4.rbegin(), kZen4.rend());
  CHECK(missing_features(kZen4, reversed).empty());
}

}  // namespace
}  // namespace om
