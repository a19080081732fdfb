#!/bin/sh
# What man/norn.7 shows is what happens.  A comment line there marks the block that follows it:
#
#     .\" example      runs without a word; a line `EXPR  # => VALUE` in it must have that value
#     .\" failing      ends in an error
#     .\" expect       is all that the block before it writes, errors too, but for the bars of tables
#     .\" addresses    a model all(ys) whose comments are the addresses of its choices, in order
#     .\" engines      up to the next heading: the engines with their options as `norn doc` has them
#     .\" library      up to .\" end: names that `norn doc` knows
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' 0
trap 'exit 1' 1 2 13 15
cp "$srcdir/man/norn.7" "$work" && cd "$work" || exit 99
LC_ALL=C
export LC_ALL
bad=0

# plain(line): roff to text.
awk '
  function hex(s,   i, n) {
    for (i = 1; i <= length(s); i++) n = 16 * n + index("0123456789ABCDEF", substr(s, i, 1)) - 1
    return n
  }
  function utf8(n) {
    if (n < 2048) return sprintf("%c%c", 192 + int(n / 64), 128 + n % 64)
    return sprintf("%c%c%c", 224 + int(n / 4096), 128 + int(n / 64) % 64, 128 + n % 64)
  }
  function plain(s) {
    gsub(/\\-/, "-", s); gsub(/\\\(ti/, "~", s); gsub(/\\\(ha/, "^", s); gsub(/\\\(aq/, "\047", s)
    gsub(/\\\(ga/, "`", s); gsub(/\\&/, "", s); gsub(/\\f[BIR]/, "", s)
    while (match(s, /\\\[u[0-9A-F]+\]/))
      s = substr(s, 1, RSTART - 1) utf8(hex(substr(s, RSTART + 3, RLENGTH - 4))) substr(s, RSTART + RLENGTH)
    gsub(/\\e/, "\\", s)
    return s
  }
  /^\.\\" (example|failing|expect|addresses)$/ { kind = $2; if (kind != "expect") n++; next }
  kind != "" && /^\.RE/ { kind = ""; next }
  kind != "" && /^\.(PP|nf|RS)/ { next }
  kind != "" { print plain($0) > sprintf("%03d.%s", n, kind); next }
  /^\.\\" / { list = $2; next }
  /^\.S[HS]/ { if (list == "engines") list = ""; next }
  list == "engines" && /^\.TP/ { head = 1; next }
  list == "engines" && head { print plain($0) > "engines"; head = 0 }
  list == "library" && /^\.TP/ { getline; next }
  list == "library" { print plain($0) > "library" }
' norn.7

run() {   # a program: its output and errors to `given`, without bars
  "$NORN" --quiet "$1" </dev/null >given.raw 2>&1
  status=$?
  bar=$(printf '\342\226')
  sed "s/$bar.//g; s/ *\$//" given.raw >given
}

fail() {
  echo "man/norn.7: $1"
  bad=1
}

for block in *.example *.failing *.addresses; do
  name=${block%.*}
  case $block in
  *.example)
    sed -n 's/.*# => //p' "$block" >wanted
    sed -n '/# => /!{p;d;}; s/ *# => .*//; /; /!s/.*/print(show(&))/; s/\(.*; \)\(.*\)/\1print(show(\2))/; p' \
      "$block" >example.norn ;;
  *.failing)
    : >wanted
    cp "$block" example.norn ;;
  *.addresses)
    sed -n 's/.*# //p' "$block" | sed 's/, /,_/g' | tr -s ' ' '\n' | sed 's/,_/, /g' >wanted
    { cat "$block"
      echo 'save(infer(all([true, missing]), importance(1)), "post.json")'
      echo 'each(read_json("post.json").choices |> keys, print)'
    } >example.norn ;;
  esac
  [ -f "$name.expect" ] && cat "$name.expect" >>wanted
  run example.norn
  case $block in *.addresses) sed 's/mem{[0-9a-f]*}/mem{...}/' given >masked && mv masked given ;; esac
  diff -u wanted given || { cat "$block"; fail "the block above does otherwise (- shown, + done)"; }
  case $block in
  *.failing) [ $status -eq 1 ] || fail "$block ends with status $status" ;;
  *) [ $status -eq 0 ] || fail "$block ends with status $status" ;;
  esac
done
[ "$(ls *.example *.failing *.addresses | wc -l)" -ge 25 ] || fail 'most examples are not found'

while IFS= read -r line; do
  engine=${line%%(*}
  got=$("$NORN" doc "$engine" | sed -n 's/^  \([a-z_]* = [^ ]*\) .*/\1/p; s/^  \([a-z_]*\)   *[a-z].*/\1/p' | paste -s -d , - | sed 's/,/, /g')
  [ "$line" = "$engine($got)" ] || fail "$line, but norn doc has $engine($got)"
done <engines
for engine in $("$NORN" --version | sed -n 's/^engines: //p'); do
  grep -q "^$engine(" engines || fail "the engine $engine is not described"
done

for name in $(tr -d '.,;' <library); do
  [ "$name" = Constants: ] || "$NORN" doc "$name" >/dev/null 2>&1 || fail "there is no $name"
done
exit $bad
