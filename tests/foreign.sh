#!/bin/sh
# Foreign functions: the programs of tests/lib/foreign with a shared object made for them, and what
# goes wrong: errors.txt there holds pairs of a program's line and what must be said about it.
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' 0
bad=0
here=$(cd "$srcdir/tests" && pwd)
# a sanitizer's run-time library must come first in a process: the object goes without
if ! ${CC:-cc} -shared -fPIC -O1 -o "$work/libcheck.so" "$here/lib/foreign/check.c" 2>"$work/log"; then
  echo "no C compiler that makes shared objects: skipped"
  cat "$work/log"
  exit 77
fi
cp "$here"/lib/foreign/*.norn "$work"
for file in "$work"/*.norn; do
  sh "$here/expect.sh" "$file" || bad=1
done

# fails DECLARATIONS EXPRESSION MESSAGE
cd "$work" || exit 99
fails() {
  printf 'foreign "./libcheck.so" { %s }\n%s\n' "$1" "$2" >program.norn
  "$NORN" program.norn >out 2>&1 && { echo "does not fail: $1 | $2"; bad=1; }
  grep -F -q -e "$3" out && return
  echo "$1 | $2: lacks '$3':"
  cat out
  bad=1
}
while IFS='|' read -r declaration expression message; do
  case $declaration in '#'* | '') continue ;; esac
  fails "$declaration" "$expression" "$(echo "$message" | sed 's/^ *//')"
done <"$here/lib/foreign/errors.txt"

# beside the program, when it runs elsewhere; and from a module
mkdir sub
echo 'foreign "./libcheck.so" { fn negate_int8(x: c_int8) -> c_int8 derivative x -> -1 }' >module.norn
echo 'import "module.norn" as m; print(m.negate_int8(3), derivative(m.negate_int8)(1))' >user.norn
(cd sub && "$NORN" ../user.norn) >out 2>&1
[ "$(cat out)" = "-3 -1" ] || { echo "a library beside a module:"; cat out; bad=1; }

# checking opens nothing; --safe refuses
echo 'foreign "./no_such.so" { fn f(x: c_double) -> c_double }' >absent.norn
"$NORN" check absent.norn || { echo "check opens libraries"; bad=1; }
"$NORN" check --safe absent.norn >out 2>&1 && { echo "check --safe accepts foreign"; bad=1; }
for how in "--safe user.norn" "--safe -e 'foreign \"\" { fn abort() }'" "--safe infer user.norn"; do
  eval "\"\$NORN\" $how" >out 2>&1 && { echo "norn $how runs"; bad=1; }
  grep -q 'foreign functions are turned off here' out || { echo "norn $how:"; cat out; bad=1; }
done
exit $bad
