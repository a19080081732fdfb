#!/bin/sh
# For a machine that has a GPU but no tools to build with: puts the command, all checks and timings that want a
# GPU, the programs in Norn, and the libraries that they need (the C library apart) into one archive, for
# run.sh:
#
#     tests/gpu/pack.sh ARCHIVE.tar.xz [BUILD]      BUILD: the build tree (build/)
set -eu
[ $# -ge 1 ] || { sed -n 's/^# \{0,1\}//p' "$0" | sed -n 2,7p; exit 2; }
root=$(cd "$(dirname "$0")/../.." && pwd)
archive=$1
build=${2:-$root/build}
work=$(mktemp -d)
trap 'rm -rf "$work"' 0
make -C "$build" --no-print-directory gpu-programs >&2
to=$work/norn-gpu
mkdir -p "$to/bin/check" "$to/bin/time" "$to/lib" "$to/tests"

programs() {   # those of a folder that can be run
  for f in "$1"/$2; do
    case $f in *.o | *.sh) continue ;; esac
    if [ -f "$f" ] && [ -x "$f" ]; then echo "$f"; fi
  done
}

# What libtool may have left as a script is a program in .libs.
put() {
  file=$1
  [ ! -f "$(dirname "$1")/.libs/$(basename "$1")" ] || file=$(dirname "$1")/.libs/$(basename "$1")
  cp "$file" "$2/$(basename "$1")"
  strip "$2/$(basename "$1")"
}

put "$build/norn" "$to/bin"
for f in $(programs "$build/tests/gpu" 'check_*'); do put "$f" "$to/bin/check"; done
for f in $(programs "$build/bench/gpu" '*'); do put "$f" "$to/bin/time"; done
for f in $(find "$to/bin" -type f); do
  ldd "$f" | sed -n 's/.* => \(\/[^ ]*\) .*/\1/p'
done | sort -u | while read -r lib; do
  case $(basename "$lib") in
  libc.so* | libm.so* | libdl.so* | libpthread.so* | librt.so* | ld-linux*) ;;
  *) cp -L "$lib" "$to/lib"; strip --strip-unneeded "$to/lib/$(basename "$lib")" || true ;;
  esac
done
cp "$root/tests/expect.sh" "$root/tests/gpu/run.sh" "$root"/bench/gpu/peer*.py "$to"
for f in "$root"/tests/gpu/*.norn "$root"/tests/gpu/*.err "$root"/tests/gpu/*.json; do [ ! -f "$f" ] || cp "$f" "$to/tests"; done
# The programs hold the same library: a dictionary that is larger than all of them finds it.
tar cf - -C "$work" norn-gpu | xz -T1 --lzma2=preset=6,dict=256MiB >"$archive"
du -h "$archive" | sed 's/^/pack: /' >&2
