#!/bin/sh
# Keeps the lists of files in the local.mk of each folder.  Where a local.mk says
#
#     ## list VARIABLE PATTERN... [!NAME...] [-SUFFIX]
#     VARIABLE += ...
#
# the assignment below it is rewritten to hold what the patterns find in that folder, without the
# NAMEs, each without SUFFIX.  `lists.sh` rewrites; `lists.sh --check` only says what differs.
set -eu
LC_ALL=C
export LC_ALL
cd "$(dirname "$0")/.."
bad=0

# The files that the words after a variable's name stand for, one a line.
files() {
  suffix= skip=' '
  set -f
  for word; do
    case $word in
    !*) skip="$skip${word#!} " ;;
    -*) suffix=${word#-} ;;
    esac
  done
  set +f
  for word; do
    case $word in
    [!-]*) case $word in !*) continue ;; esac
      for file in $word; do
        case $skip in *" $file "*) continue ;; esac
        [ -f "$file" ] && echo "${file%"$suffix"}"
      done ;;
    esac
  done | awk '!seen[$0]++'
}

rewrite() {   # a local.mk on standard input, its folder the current one
  skipping=no
  while IFS= read -r line; do
    if [ $skipping = yes ]; then
      case $line in *\\) continue ;; esac
      skipping=no
      continue
    fi
    printf '%s\n' "$line"
    case $line in
    '## list '*)
      IFS= read -r next
      set -f
      set -- ${line#\#\# list }
      set +f
      shift
      printf '%s' "${next%%=*}="
      files "$@" | while IFS= read -r file; do printf ' \\\n  %s' "%D%/$file"; done
      printf '\n'
      case $next in *\\) skipping=yes ;; esac ;;
    esac
  done
}

for mk in src/*/local.mk stdlib/local.mk man/local.mk examples/local.mk bench/local.mk tests/local.mk tests/gpu/local.mk; do
  new=$(cd "$(dirname "$mk")" && rewrite <local.mk && echo x)
  old=$(cat "$mk" && echo x)
  [ "$new" = "$old" ] && continue
  new=${new%x}
  if [ "${1-}" = --check ]; then
    echo "$mk does not list what is there: run ./bootstrap.sh lists"
    printf '%s' "$new" | diff "$mk" - || true
    bad=1
  else
    printf '%s' "$new" >"$mk"
    echo "updated $mk"
  fi
done
exit $bad
