#!/bin/sh
# What README.md shows is what happens.  A block ```norn whose first line is `# NAME.norn` is that file;
# a block ```console runs its `$ norn ...` lines beside it and the examples; a block ```repl is a
# session: what follows the prompts is typed, the rest must come back.  Lines of progress, which come on a
# slow machine only, don't count.
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' 0
trap 'exit 1' 1 2 13 15
mkdir "$work/bin" && cp -r "$srcdir/examples" "$work/examples" && chmod -R u+w "$work/examples" || exit 99
ln -s "$NORN" "$work/bin/norn"
PATH=$work/bin:$PATH
export PATH

awk -v dir="$work" '
  /^```/ && kind == "" { kind = substr($0, 4); n++; line = 0; file = ""; next }
  /^```/ { if (file != "") close(file); kind = ""; next }
  kind == "" { next }
  kind == "norn" && ++line == 1 && $0 ~ /^# [a-z_]+\.norn/ { file = dir "/" $2; sub(/[:,]$/, "", file) }
  kind == "norn" { if (file != "") print > file; next }
  kind == "console" || kind == "repl" { file = sprintf("%s/%02d.%s", dir, n, kind); print > file }
' "$srcdir/README.md"

bad=0
cd "$work" || exit 99
without_progress() { grep -v '^[a-z][a-z_ 0-9]* \[[#-]\{20\}\] '; }
for block in *.console; do
  [ -f "$block" ] || continue
  grep '^\$ ' "$block" | grep -v '^\$ \./bootstrap' >commands
  [ -s commands ] || continue
  while IFS= read -r line; do
    echo "$line"
    sh -c "${line#\$ }" </dev/null 2>&1
  done <commands | without_progress >given
  diff -u "$block" given || { echo "README.md: $block"; bad=1; }
done
for block in *.repl; do
  [ -f "$block" ] || continue
  sed -n 's/^norn> //p; s/^  \.\.\. //p' "$block" | norn 2>&1 | without_progress >given
  grep -v '^norn> \|^  \.\.\. ' "$block" | diff -u - given || { echo "README.md: $block"; bad=1; }
done
exit $bad
