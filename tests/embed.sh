#!/bin/sh
# The programs of examples/embed against an installed Norn: make install into a folder of our own,
# compile through pkg-config, run, compare what they print.
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' 0
trap 'exit 1' 1 2 13 15
bad=0
command -v "${PKG_CONFIG:-pkg-config}" >/dev/null 2>&1 || { echo 'no pkg-config'; exit 77; }
[ -f "$builddir/Makefile" ] || exit 99
# The prefix is what configure was given: install below a folder and shift pkg-config there.
prefix=$(sed -n 's/^prefix = //p' "$builddir/Makefile")
MAKEFLAGS= make -s -C "$builddir" install DESTDIR="$work/root" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
root=$work/root
libdir=$(dirname "$(find "$root" -name norn.pc)")/..
cp -r "$srcdir/examples/embed" "$work/embed" && chmod -R u+w "$work/embed"
cd "$work/embed" || exit 99
pc=$(cd "$libdir/pkgconfig" && pwd)
sed "s|^prefix=.*|prefix=$root$prefix|" "$pc/norn.pc" >norn.pc
PKG_CONFIG_PATH=$work/embed
LD_LIBRARY_PATH=$(cd "$libdir" && pwd)
export PKG_CONFIG_PATH LD_LIBRARY_PATH
MAKEFLAGS= make -s CC="${CC:-cc}" CFLAGS="-O1 -Wall -Wextra -Werror ${EMBED_CFLAGS-}" all >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }

expect() {   # a title, wanted lines on standard input, a command
  title=$1
  shift
  cat >"$work/want"
  "$@" >"$work/got" 2>"$work/err"
  status=$?
  [ $status -eq 0 ] && diff -u "$work/want" "$work/got" && return
  echo "embed.sh: $title: status $status"
  cat "$work/err"
  bad=1
}

expect hello ./hello <<'WANT'
Hello from Norn 2
the sum of the first ten squares is 385
and that was an error with its place
WANT
expect native ./native <<'WANT'
mean 13.3125 degrees
at most 20 hPa
weather:1:14: error: the formula holds from -60 to 60 degrees, got 100
 1 | print(vapour(100))
   |              ^^^
WANT
expect stream ./stream <<'WANT'
 25 %: slope 2.0
 50 %: slope 2.0
 75 %: slope 2.0
slope 2.0, intercept 1.1
WANT
expect online ./online <<'WANT'
measured 21.3, estimate 21
measured 21.1, estimate 21
measured 35.0, estimate 21
measured 21.4, estimate 21
measured 21.2, estimate 21
measured 21.5, estimate 21
WANT
expect train ./train <<'WANT'
step 100 of 300
step 200 of 300
step 300 of 300
p is about 0.8
WANT
expect distribution ./distribution <<'WANT'
variance 13.6
below 5 m/s: 0.542
wind:9:10: error: sigma of rayleigh must be positive, got -1
 9 | rayleigh(-1)
   |          ^^
WANT

# beta(2, 2) and two of three give beta(4, 3): mean 4/7
cat >coin.norn <<'NORN'
model coin(flips) { let p ~ beta(2, 2); for f in flips { observe f ~ bernoulli(p) }; p }
model nested() { let p ~ infer(coin([true, true, false]), imh(steps = 50)); p }
print(round(mean(infer(coin([true, true, false]), imh(steps = 20000))), 2))
print(round(mean(infer(nested(), imh(steps = 300))), 1))
NORN
norn=$(find "$root" -name norn -type f -perm -u+x | head -1)
expect imh "$norn" --load ./imh.so coin.norn <<'WANT'
0.57
0.6
WANT
lines=$(wc -l <imh.c)
[ "$lines" -lt 60 ] || { echo "embed.sh: imh.c has $lines lines"; bad=1; }
exit $bad
