#!/bin/sh
# dialect.sh f64|f32 FILE...: the headers in this order as one text, for src/graph/dialect.c, on
# standard output: numbers of bytes with commas, as C reads them.  What they include of each other is
# left out; each TERM and ONCE of a formula gets a number (src/dist/terms.h).  f32: literals with a point or an exponent become floats.
set -eu
kind=$1
shift
float=
case $kind in
f64) ;;
f32) float='s/(^|[^[:alnum:]_.])(0x[0-9a-f]+[.]?[0-9a-f]*p[-+]?[0-9]+|[0-9]+[.][0-9]*(e[-+]?[0-9]+)?|[0-9]+e[-+]?[0-9]+)/\1\2f/g' ;;
*) echo "dialect.sh: f64 or f32, not $kind" >&2; exit 2 ;;
esac
{
  echo '#define NORN_DIALECT 1'
  [ "$kind" = f64 ] || echo '#define NORN_F32 1'
  for file; do
    sed -E -e '/^#include "/d' -e "$float" "$file"
  done
} | awk '!/^#define/ {
  line = ""
  while (match($0, /(TERM|ONCE)[(]/)) {
    line = line substr($0, 1, RSTART + 3) "_N(" n++ ", "
    $0 = substr($0, RSTART + 5)
  }
  $0 = line $0
} { print }' | od -v -An -to1 | sed 's/ \([0-7][0-7]*\)/0\1,/g'
