#!/bin/sh
# Uses an installed Norn as a stranger would: the command, the manual, and a C program that finds
# header and library through pkg-config, linked shared and static.  Run by `make installcheck`, which
# gives root (DESTDIR), prefix, bindir, libdir, mandir, CC, CFLAGS and PKG_CONFIG.
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' 0
cd "$1" || exit 99
bad=0

step() {   # a title, a command
  title=$1
  shift
  if "$@" >"$work/log" 2>&1; then
    echo "PASS: installed: $title"
  else
    echo "FAIL: installed: $title"
    cat "$work/log"
    bad=1
  fi
}

norn=$root$bindir/norn
says() {   # the text, a command
  text=$1
  shift
  got=$("$@") || return 1
  echo "$got"
  [ "$got" = "$text" ]
}

pc() {
  PKG_CONFIG_PATH=$root$libdir/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH} \
    "${PKG_CONFIG:-pkg-config}" --define-variable=prefix="$root$prefix" \
    --define-variable=libdir="$root$libdir" --define-variable=includedir="$root$prefix/include" "$@" norn
}

embeds() {   # how to link, a program
  static=
  [ "$1" = static ] && static=--static
  libs=$(pc --libs $static) || return 1
  [ "$1" = static ] && libs=$(echo "$libs" | sed 's/-lnorn /-l:libnorn.a /; s/-lnorn$/-l:libnorn.a/')
  $CC $CFLAGS $(pc --cflags) -o "$work/embed" "$2" $libs || return 1
  LD_LIBRARY_PATH=$root$libdir says 42 "$work/embed"
}

cat >"$work/embed.c" <<'C'
#include <norn.h>
#include <stdio.h>

static norn_status answer(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  int64_t x;
  (void)n;
  if (!norn_want_int(st, args, 0, "x", &x)) return norn_error(st)->code;
  *out = norn_int(2 * x);
  return NORN_OK;
}

int main(void)
{
  static const norn_native natives[] = {{.name = "twice", .params = "x", .doc = "2 x.", .f = answer}};
  static const char program[] = "twice(21)";
  norn_state *st = norn_new(NULL);
  norn_datum v;
  if (!st || norn_add_natives(st, NULL, natives, 1)) return 1;
  if (norn_eval(st, "embed", program, sizeof program - 1, 0, &v)) return 2;
  printf("%lld\n", (long long)v.i);
  norn_free(st);
  return 0;
}
C
cp "$work/embed.c" "$work/embed.cc"
printf '#include <norn.h>\nint main() { return norn_version() ? 0 : 1; }\n' >"$work/header.cc"

step 'norn -e' says 42 "$norn" -e 'print(6 * 7)'
step 'norn --version' "$norn" --version
step 'the manual' test -f "$root$mandir/man1/norn.1"
step 'a C program, shared' embeds shared "$work/embed.c"
[ -f "$root$libdir/libnorn.a" ] && step 'a C program, static' embeds static "$work/embed.c"
if command -v "${CXX:-c++}" >/dev/null 2>&1; then
  step 'the header in C++' ${CXX:-c++} -Wall -Wextra -Werror $(pc --cflags) -fsyntax-only "$work/header.cc"
fi
exit $bad
