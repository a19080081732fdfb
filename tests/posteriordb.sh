#!/bin/sh
# The programs of examples/posteriordb agree with the reference moments of their posteriors: every
# line says ok.
cd "$srcdir/examples/posteriordb" || exit 99
bad=0
for file in *.norn; do
  [ "$file" = reference.norn ] && continue
  out=$("$NORN" --quiet --seed 11 "$file" 2>&1) || { echo "$file failed"; echo "$out"; bad=1; continue; }
  echo "$out" | grep -q ': ok ' || { echo "$file: no parameter is ok"; bad=1; }
  wrong=$(echo "$out" | grep -v ': ok ')
  [ -z "$wrong" ] || { echo "$file: $wrong"; bad=1; }
done
exit $bad
