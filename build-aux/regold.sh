#!/bin/sh
# Writes anew what tests compare with: the messages of tests/errors, the outputs at the end of the
# examples, the outputs in README.md.  Read the difference before you commit it: a golden text is
# what a good answer looks like, not whatever came out.
#
#     NORN=build/norn build-aux/regold.sh [errors] [examples] [readme]
set -eu
NORN=$(cd "$(dirname "${NORN:-build/norn}")" && pwd)/norn
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' 0

errors() {
  cd tests/errors
  for file in *.norn; do
    "$NORN" "$file" >/dev/null 2>"${file%.norn}.err" </dev/null || true
  done
  cd ../..
}

examples() {
  cd examples
  make -s -C embed pendulum.so
  for file in *.norn; do
    "$NORN" "$file" >"$work/out" </dev/null || true
    grep -v '^# expect: ' "$file" | sed -e :a -e '/^\n*$/{$d;N;ba' -e '}' >"$work/new"
    { cat "$work/new"; echo; sed 's/^/# expect: /; s/[[:space:]]*$//' "$work/out"; } >"$file"
  done
  make -s -C embed clean
  cd ..
}

# A console block: each `$ command` and what it says.  A repl block: each prompt's input and what the
# session says to it alone, found by running it with and without.
answer_console() {
  grep '^\$ ' "$1" | while IFS= read -r line; do
    echo "$line"
    case $line in '$ ./bootstrap'*) ;; *) (cd "$work/play" && sh -c "${line#\$ }" </dev/null 2>&1) || true ;; esac
  done
}

answer_repl() {
  : >"$work/before"
  : >"$work/input"
  grep '^norn> \|^  \.\.\. ' "$1" | while IFS= read -r line; do
    echo "$line"
    echo "$line" | sed 's/^norn> //; s/^  \.\.\. //' >>"$work/input"
    norn <"$work/input" >"$work/after" 2>/dev/null || continue
    tail -c "+$(($(wc -c <"$work/before") + 1))" "$work/after"
    cp "$work/after" "$work/before"
  done
}

readme() {
  mkdir "$work/play" "$work/bin"
  cp -r examples "$work/play/examples"
  ln -s "$NORN" "$work/bin/norn"
  PATH=$work/bin:$PATH
  kind= file=
  while IFS= read -r line; do
    case $kind in
    '')
      printf '%s\n' "$line"
      case $line in '```'?*) kind=${line#'```'}; : >"$work/block" ;; esac ;;
    *)
      if [ "$line" = '```' ]; then
        case $kind in
        console) answer_console "$work/block" ;;
        repl) answer_repl "$work/block" ;;
        *) cat "$work/block"
           file=$(sed -n '1s/^# \([a-z_]*\.norn\).*/\1/p' "$work/block")
           [ -z "$file" ] || cp "$work/block" "$work/play/$file" ;;
        esac
        kind=
        printf '%s\n' "$line"
      else
        printf '%s\n' "$line" >>"$work/block"
      fi ;;
    esac
  done <README.md >"$work/README.md"
  cp "$work/README.md" README.md
}

[ $# -gt 0 ] || set -- errors examples readme
for what; do $what; done
