# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Packages: `./dev setup`, and need_packages GROUP... for the other verbs. What is installed is found without
# the network; apt-get runs only if something is missing, and updates its lists only if it cannot find a
# package with the ones it has. A proxy named by the environment is passed on.

# The packages of the named groups, one a line.
packages_of() {
  local group
  for group in "$@"; do
    awk -v group="$group" '$1 == group { print $2 }' "$OM_ROOT/tools/packages.txt"
  done | sort -u
}

# Of the packages on stdin those that are not installed.
missing_packages() {
  local name
  while read -r name; do
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null) == installed* ]] || echo "$name"
  done
}

# Runs a command as root.
as_root() {
  if ((EUID == 0)); then
    "$@"
    return
  fi
  local name passed=()
  for name in http_proxy https_proxy ftp_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY DEBIAN_FRONTEND; do
    if [[ -n ${!name:-} ]]; then passed+=("$name=${!name}"); fi
  done
  sudo env "${passed[@]}" "$@"
}

may_become_root() {
  ((EUID == 0)) && return
  command -v sudo >/dev/null || return
  sudo -n true 2>/dev/null || [[ -t 0 && -t 2 ]]
}

install_packages() {
  local apt=(apt-get -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 -y -q)
  local install=("${apt[@]}" install --no-install-recommends --no-upgrade "$@")
  export DEBIAN_FRONTEND=noninteractive
  say "install $*"
  if apt-get --simulate install --no-install-recommends "$@" >/dev/null 2>&1; then
    if quietly as_root "${install[@]}"; then return; fi
    say "apt-get install failed; again with new package lists"
  fi
  quietly as_root "${apt[@]}" update
  quietly as_root "${install[@]}"
}

# need_packages GROUP...: returns when all packages of the groups are installed, else ends with status 1.
need_packages() {
  local missing group
  for group in "$@"; do
    grep -q "^$group " "$OM_ROOT/tools/packages.txt" || usage "there is no package group $group"
  done
  if ! command -v dpkg-query >/dev/null; then
    say "not a Debian system: the packages of tools/packages.txt are taken for granted"
    return
  fi
  mapfile -t missing < <(packages_of "$@" | missing_packages)
  if ((${#missing[@]} == 0)); then return; fi
  may_become_root || die "missing packages, and neither root nor sudo to install them: ${missing[*]}"
  install_packages "${missing[@]}" || die "could not install: ${missing[*]}"
}

verb_setup() {
  local groups=("$@")
  if ((${#groups[@]} == 0)); then groups=(build test); fi
  if [[ ${groups[*]} == all ]]; then
    mapfile -t groups < <(awk '/^[a-z]/ { print $1 }' "$OM_ROOT/tools/packages.txt" | sort -u)
  fi
  need_packages "${groups[@]}"
  say "packages are installed: ${groups[*]}"
}
