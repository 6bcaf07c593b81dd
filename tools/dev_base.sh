# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the verbs of ./dev have in common: messages, the build directory, configuring and compiling it.
# Sourced by ./dev with OM_ROOT and OM_BUILD set. Messages go to stderr, results to stdout.

# Debian's, whatever else the PATH has: drivers that root starts run it as another user.
PYTHON=/usr/bin/python3
if [[ ! -x $PYTHON ]]; then PYTHON=python3; fi

say() { echo "dev: $*" >&2; }

die() {
  say "$*"
  exit 1
}

usage() {
  say "$*; see ./dev help"
  exit 2
}

# The argument as one word for any POSIX shell.
shell_quoted() { printf "'%s'" "${1//\'/\'\\\'\'}"; }

# Runs a command silently; its output is shown only if it fails.
quietly() {
  local log status=0
  log=$(mktemp)
  "$@" >"$log" 2>&1 || status=$?
  if ((status != 0)); then cat "$log" >&2; fi
  rm -f "$log"
  return "$status"
}

# Was directory $1 configured by meson from this tree?
configured() {
  [[ -f $1/build.ninja && -f $1/meson-info/meson-info.json ]] &&
    grep -qF "\"source\": \"$OM_ROOT\"" "$1/meson-info/meson-info.json"
}

# Is the configuration of directory $1 as old as what it was made from? Ninja knows only the meson.build files
# that were there; a new one is found here.
up_to_date() {
  [[ -z $(find "$OM_ROOT" -name 'build*' -prune -o \( -name meson.build -o -name meson_options.txt \) \
    -newer "$1/build.ninja" -print -quit) ]]
}

# configure DIRECTORY [meson option...]: makes it a build directory with these options. One that has them is
# left alone; one of another tree, or which was not configured to the end, is configured anew.
configure() {
  local directory=$1 wanted had=''
  shift
  wanted="$*"
  if [[ -f $directory/.dev-options ]]; then had=$(<"$directory/.dev-options"); fi
  if configured "$directory"; then
    if [[ $had == "$wanted" ]] && up_to_date "$directory"; then return; fi
    say "configure $directory again"
    quietly meson setup --reconfigure "$directory" "$OM_ROOT" "$@"
  else
    say "configure $directory"
    if [[ -f $directory/meson-private/coredata.dat ]]; then set -- --wipe "$@"; fi
    quietly meson setup "$directory" "$OM_ROOT" "$@"
  fi
  echo "$wanted" >"$directory/.dev-options"
}

# compile DIRECTORY [target...]: one line of progress on a terminal, only failures elsewhere.
compile() {
  local directory=$1
  shift
  if [[ -t 1 ]]; then
    ninja -C "$directory" -j "$(nproc)" "$@"
  else
    quietly ninja -C "$directory" -j "$(nproc)" "$@"
  fi
}

# The test drivers, started by root, become an ordinary user, and so do the keepers of programs that move: that user
# must be able to read tree and build. Where it cannot (a tree below /root), it is built where it lies as ever, and
# what is to be read is put elsewhere for as long as it is used.
readable_by_others() {
  ((EUID != 0)) || setpriv --reuid=65534 --regid=65534 --clear-groups test -r "$OM_ROOT/dev" -a -r "$1/build.ninja"
}

# install_for_others DIRECTORY: sets OM_PLACE to a folder with `tree`, a copy of this one, and `build`, the results in
# DIRECTORY (linked if they can be), which everybody can read.
install_for_others() {
  local how=--link
  OM_PLACE=$(mktemp -d /var/tmp/om-tree-XXXXXX)
  say "an ordinary user, who takes part in this, cannot read $OM_ROOT: what it needs is put into $OM_PLACE"
  mkdir "$OM_PLACE/tree" "$OM_PLACE/build"
  tar -C "$OM_ROOT" --exclude='./build*' --exclude=./.git -cf - . | tar -C "$OM_PLACE/tree" -xf -
  ln "$1/build.ninja" "$OM_PLACE/probe" 2>/dev/null || how=--reflink=auto  # another file system
  rm -f "$OM_PLACE/probe"
  (cd "$1" && find . \( -name '*.p' -o -name 'meson-*' \) -prune -o \( -type f -o -type l \) \
    ! -name '*.[ao]' ! -name '*.ninja*' ! -name '.ninja*' -print0 |
    xargs -0 cp "$how" --no-dereference --preserve=mode --parents -t "$OM_PLACE/build")
  chmod -R go+rX "$OM_PLACE"
}

# Ends with the status; what was installed for others goes unless somebody may want to look at it.
end_with() {
  if [[ -n ${OM_PLACE:-} ]]; then
    if (($1 == 0)); then rm -rf "$OM_PLACE"; else say "kept $OM_PLACE"; fi
  fi
  exit "$1"
}

# Instrumented programs write beside their objects, whoever runs them: such a build is made in a copy of the tree.
run_in_readable_copy() {
  local copy status=0
  copy=$(mktemp -d /var/tmp/om-tree-XXXXXX)
  say "an ordinary user, who takes part in this, cannot read $OM_ROOT: it is done in the copy $copy"
  chmod 755 "$copy"
  tar -C "$OM_ROOT" --exclude='./build*' --exclude=./.git -cf - . | tar -C "$copy" -xf -
  chmod -R go+rX "$copy"
  env -u OM_BUILD "$copy/dev" "$@" || status=$?
  if ((status == 0)); then rm -rf "$copy"; else say "kept $copy"; fi
  exit "$status"
}
