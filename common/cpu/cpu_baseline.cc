// SPDX-License-Identifier: Apache-2.0
#include "common/cpu/cpu_baseline.h"

#include <fmt/core.h>
#include <stdint.h>

#include <algorithm>
#include <initializer_list>

namespace om {
namespace {

// The x86-64 psABI levels, as cpuinfo names their features. AES and PCLMUL are in no level, but every CPU of level 3
// has them and OpenSSL is many times slower without, so they count as used from level 3 on.
const std::vector<std::string> kLevel2{
    "fpu",     "tsc", "cx8",  "cmov",    "mmx",    "fxsr", "sse",   "sse2",   "clflush",
    "syscall", "lm",  "cx16", "lahf_lm", "popcnt", "pni",  "ssse3", "sse4_1", "sse4_2"};
const std::vector<std::string> kLevel3{"avx", "avx2",  "bmi1",  "bmi2", "f16c",     "fma",
                                       "abm", "movbe", "xsave", "aes",  "pclmulqdq"};
const std::vector<std::string> kLevel4{"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"};

// Names in glibc's tunable glibc.cpu.hwcaps beyond each level. ld.so ignores unknown ones.
constexpr std::string_view kBeyond4 = "-RTM";
constexpr std::string_view kBeyond3 =
    ",-AVX512F,-AVX512BW,-AVX512CD,-AVX512DQ,-AVX512VL,-AVX512ER,-AVX512PF";
constexpr std::string_view kBeyond2 = ",-AVX,-AVX2,-FMA,-FMA4,-BMI1,-BMI2,-LZCNT,-MOVBE";

// OpenSSL's capability vector: CPUID 1 EDX and ECX, then CPUID 7 EBX and ECX; "~" clears bits.
uint64_t bits(std::initializer_list<int> numbers) {
  uint64_t mask = 0;
  for (int number : numbers) mask |= uint64_t{1} << number;
  return mask;
}

std::string openssl_mask(int level) {
  uint64_t first = bits({43 /* XOP */, 62 /* RDRAND */});
  uint64_t second = bits({18 /* RDSEED */, 19 /* ADX */, 21 /* AVX512IFMA */, 29 /* SHA */,
                          33 /* VBMI */, 40 /* GFNI */, 41 /* VAES */, 42 /* VPCLMULQDQ */});
  if (level < 4)
    second |= bits({16 /* AVX512F */, 17 /* DQ */, 28 /* CD */, 30 /* BW */, 31 /* VL */});
  if (level < 3) {
    first |= bits({33 /* PCLMULQDQ */, 44 /* FMA */, 54 /* MOVBE */, 57 /* AES */, 60 /* AVX */,
                   61 /* F16C */});
    second |= bits({3 /* BMI1 */, 5 /* AVX2 */, 8 /* BMI2 */});
  }
  return fmt::format("~{:#x}:~{:#x}", first, second);
}

CpuBaseline make(std::string_view name, int level) {
  CpuBaseline baseline;
  baseline.name = name;
  baseline.features = kLevel2;
  std::string hwcaps(kBeyond4);
  if (level >= 3) baseline.features.insert(baseline.features.end(), kLevel3.begin(), kLevel3.end());
  if (level >= 4) baseline.features.insert(baseline.features.end(), kLevel4.begin(), kLevel4.end());
  if (level < 4) hwcaps += kBeyond3;
  if (level < 3) hwcaps += kBeyond2;
  // Lazy binding saves the registers with an instruction and a buffer that ld.so chose for home's CPU.
  baseline.environment = {{"GLIBC_TUNABLES", "glibc.cpu.hwcaps=" + hwcaps},
                          {"LD_BIND_NOW", "1"},
                          {"OPENSSL_ia32cap", openssl_mask(level)},
                          {kCpuBaselineVariable, std::string(name)}};
  return baseline;
}

const std::vector<CpuBaseline>& baselines() {
  static const std::vector<CpuBaseline> all{make("x86-64-v2", 2), make("x86-64-v3", 3),
                                            make("x86-64-v4", 4)};
  return all;
}

}  // namespace

const CpuBaseline* find_cpu_baseline(std::string_view name) {
  for (const CpuBaseline& baseline : baselines()) {
    if (baseline.name == name) return &baseline;
  }
  return nullptr;
}

std::string cpu_baseline_names() {
  std::string names;
  for (const CpuBaseline& baseline : baselines()) {
    names += (names.empty() ? "" : ", ") + std::string(baseline.name);
  }
  return names;
}

std::vector<std::string> restrict_features(const std::vector<std::string>& features,
                                           const CpuBaseline& baseline) {
  std::vector<std::string> kept;
  for (const std::string& feature : features) {
    auto& allowed = baseline.features;
    if (std::find(allowed.begin(), allowed.end(), feature) != allowed.end())
      kept.push_back(feature);
  }
  return kept;
}

}  // namespace om
