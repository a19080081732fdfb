#!/bin/sh
# Every function of norn.h is in the shared library and can be seen by what `norn --load` opens; the
# library shows nothing else.
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' 0
command -v nm >/dev/null 2>&1 || exit 77
bad=0

names() {   # the functions that norn.h and its companions declare, without comments and inline ones
  for header in norn norn_infer norn_net norn_llm; do
    ${CC:-cc} -fpreprocessed -dD -E -P "$srcdir/include/$header.h" 2>/dev/null
  done |
    grep -o 'norn_[a-z0-9_]*(' | tr -d '(' | sort -u >"$work/all"
  sed -n 's/^static inline.*[ *]\(norn_[a-z0-9_]*\)(.*/\1/p' "$srcdir"/include/norn*.h |
    sort -u >"$work/inline"
  comm -23 "$work/all" "$work/inline"
}

shown() {
  nm -D --defined-only "$1" | sed -n 's/.* [TW] //p' | sort -u
}

names >"$work/declared"
[ "$(wc -l <"$work/declared")" -gt 50 ] || { echo 'found too few functions in norn.h'; bad=1; }
library=$builddir/.libs/libnorn.so
for file in "$library" "$NORN"; do
  [ -f "$file" ] || continue
  shown "$file" >"$work/shown"
  missing=$(comm -23 "$work/declared" "$work/shown")
  [ -z "$missing" ] || { echo "$file lacks:" $missing; bad=1; }
done
if [ -f "$library" ]; then
  shown "$library" >"$work/shown"
  more=$(comm -13 "$work/declared" "$work/shown" | grep -v '^_\(init\|fini\)$')
  [ -z "$more" ] || { echo "$library shows what norn.h does not declare:" $more; bad=1; }
fi
exit $bad
