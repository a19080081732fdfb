#!/bin/sh
# From a fresh checkout to a running program:
#
#     ./bootstrap.sh run FILE.norn [ARGS]     build what is needed, quietly, and run FILE
#     ./bootstrap.sh build                    build all
#     ./bootstrap.sh check                    build all and run the tests
#     ./bootstrap.sh lists                    after adding or removing files: bring the local.mk up to date
#
# It installs the Debian packages that are missing, makes configure, and builds in build/.  CONFIGURE
# may hold options for configure, and BUILD another folder than build.
set -eu
root=$(cd "$(dirname "$0")" && pwd)
build=${BUILD:-$root/build}
quiet=no

say() {
  echo "bootstrap: $*" >&2
}

die() {
  say "$*"
  exit 1
}

# One a line: package, a command that shows it is there (or -), what for.
packages() {
  [ -n "${CC-}" ] || echo 'gcc gcc the C compiler'
  cat <<'LIST'
libc6-dev - headers of the C library
make make builds
autoconf autoconf makes configure
automake automake makes Makefile.in
libtool libtoolize builds the shared library
pkg-config pkg-config finds libraries
libmpfr-dev - GNU MPFR: big numbers
libffi-dev - libffi: C functions from Norn
libgsl-dev - GNU Scientific Library: special functions
libjansson-dev - jansson: JSON files
libcsv-dev - libcsv: CSV files
libreadline-dev - GNU readline: history and completion at the prompt
LIST
}

# The same, for what the build can do without.
optional() {
  cat <<'LIST'
libopenblas0-pthread - OpenBLAS: large matrices, opened when one is met
libnetcdf19 - NetCDF: draws for ArviZ, opened when a file .nc is met
libcairo2 - cairo: pictures as PNG and PDF, opened when one is drawn
libcurl4 - libcurl: servers of language models, opened when one is asked
LIST
}

installed() {   # a package, its command
  [ "$2" != - ] && command -v "$2" >/dev/null 2>&1 && return
  dpkg-query -W -f '${Status}\n' "$1" 2>/dev/null | grep -q ' installed$'
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    env DEBIAN_FRONTEND=noninteractive "$@"
  elif ! command -v sudo >/dev/null 2>&1; then
    return 1
  elif [ -t 0 ]; then
    sudo env DEBIAN_FRONTEND=noninteractive "$@"
  else
    sudo -n env DEBIAN_FRONTEND=noninteractive "$@"
  fi
}

missing_of() {   # of the packages on standard input those that are not there
  while read -r package command why; do
    installed "$package" "$command" && continue
    say "missing: $package ($why)"
    printf ' %s' "$package"
  done
}

install_packages() {
  if ! command -v dpkg-query >/dev/null 2>&1; then
    say 'this is no Debian: not looking for packages; configure will say what is missing'
    return
  fi
  missing=$(packages | missing_of)
  extra=$(optional | missing_of)
  [ -n "$missing$extra" ] || return 0
  say "installing:$missing$extra"
  as_root apt-get update -qq >&2 || say 'apt-get update failed; trying with the lists that are here'
  [ -z "$extra" ] || as_root apt-get install -y -qq --no-install-recommends $extra >&2 ||
    say "going on without$extra"
  [ -z "$missing" ] || as_root apt-get install -y -qq --no-install-recommends $missing >&2 ||
    die "could not install them: as root, run  apt-get install$missing  and start again"
}

newer() {   # a file, than which another
  [ -n "$(find "$1" -newer "$2" 2>/dev/null)" ]
}

configured() {
  [ -f "$build/Makefile" ] && [ -f "$build/config.status" ] && [ -f "$root/configure" ] &&
    ! newer "$root/configure.ac" "$root/configure" && ! newer "$root/configure" "$build/config.status"
}

# Runs a command and stops when it fails; in quiet mode its output is shown only then.
step() {
  if [ $quiet = no ]; then
    "$@" || exit
    return
  fi
  log=$(mktemp)
  if "$@" >"$log" 2>&1; then
    rm -f "$log"
  else
    cat "$log" >&2
    rm -f "$log"
    die 'the build failed'
  fi
}

reconf() {
  cd "$root" && mkdir -p m4 && autoreconf -i && cd - >/dev/null
}

configure_in_build() {
  mkdir -p "$build" && cd "$build" && "$root/configure" -q ${CONFIGURE-} && cd - >/dev/null
}

configure_build() {
  configured && return
  case $root in *[[:space:]]*) die "autotools can't build in a folder with a space in its name: $root" ;; esac
  install_packages
  if [ ! -f "$root/configure" ] || newer "$root/configure.ac" "$root/configure"; then step reconf; fi
  step configure_in_build
}

make_build() {
  make -C "$build" --no-print-directory -j"$(nproc 2>/dev/null || echo 2)" "$@"
}

usage() {
  sed -n 's/^#\( \|$\)//p' "$0" | sed -n '2,9p' >&2
  exit 2
}

case ${1-} in
run)
  shift
  [ $# -gt 0 ] || usage
  quiet=yes
  [ -x "$build/norn" ] || say 'building Norn, which takes a minute or two the first time'
  configure_build
  step make_build norn
  exec "$build/norn" "$@"
  ;;
build)
  configure_build
  step make_build
  ;;
check)
  configure_build
  step make_build
  step make_build check
  ;;
lists)
  exec sh "$root/build-aux/lists.sh"
  ;;
*)
  usage
  ;;
esac
