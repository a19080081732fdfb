#!/bin/sh
# The built-in model from nothing: its text, its training, and how well it does:
#
#     NORN=build/norn sh src/llm/tiny/make.sh [FOLDER]
#
# FOLDER (without it: a temporary one) keeps the text and the checkpoint, so that it goes on where it was stopped.
# tiny.gguf beside this script is replaced.  Of two cores that others used too it took 19 minutes.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
norn=${NORN:-norn}
if [ $# -gt 0 ]; then
  work=$1
  mkdir -p "$work"
else
  work=$(mktemp -d)
  trap 'rm -rf "$work"' 0
fi

[ -s "$work/text" ] || "$norn" --seed 1 "$here/text.norn" "$work/text" 200000
"$norn" train --text "$work/text" --documents empty-lines --layers 4 --width 128 --heads 4 --context 160 --batch 32 \
  --steps 4000 --rate 0.002 --seed 1 --type q8_0 --name tiny --checkpoint "$work/checkpoint" --resume \
  --out "$work/tiny.gguf"
cp "$work/tiny.gguf" "$here/tiny.gguf"
"$norn" --seed 1 "$here/measure.norn" "builtin:$here/tiny.gguf" 200
