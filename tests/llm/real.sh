#!/bin/sh
# Real servers of language models, on this machine: from a build folder,
#
#     srcdir=.. sh ../tests/llm/real.sh FILE.gguf [llama-server | llama-cpp-python]
#
# puts the server into a Python environment of its own (build/venv-llm, or the one that NORN_LLM_VENV names), starts it on the
# model, and compares what Norn gets over HTTP with the built-in decoder on the same file: distributions of next tokens,
# scores of texts, how often each text is drawn.  llama-server comes with the package xllamacpp, which is compiled already;
# llama-cpp-python is compiled here, which takes long.  It is no part of make check: it needs a network for the packages.
model=${1:?a model in a GGUF file}
which=${2:-llama-server}
case $model in /*) ;; *) model=$PWD/$model ;; esac
tools=$PWD/tests/tools
norn=${NORN:-$PWD/norn}
here=$(cd "$srcdir" && pwd) || exit 99
venv=${NORN_LLM_VENV:-$PWD/venv-llm}
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"; [ -n "$server" ] && kill "$server"' 0
trap 'exit 1' 1 2 13 15
bad=0

[ -x "$venv/bin/python" ] || python3 -m venv "$venv" || exit 99
case $which in
llama-server) package=xllamacpp import=xllamacpp ;;
*) package='llama-cpp-python[server]' import=llama_cpp.server ;;
esac
"$venv/bin/python" -c "import $import" 2>/dev/null || "$venv/bin/pip" install -q "$package" || exit 99

cd "$work" || exit 99
XDG_CACHE_HOME=$work
export XDG_CACHE_HOME
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
if [ "$which" = llama-server ]; then
  "$venv/bin/python" "$here/tests/llm/serve.py" "$model" "$port" >log 2>&1 &
else
  "$venv/bin/python" -m llama_cpp.server --model "$model" --host 127.0.0.1 --port "$port" --logits_all true --n_ctx 192 >log 2>&1 &
fi
server=$!
url=http://127.0.0.1:$port/v1

fail() {
  echo "real.sh: $*"
  bad=1
}

for try in $(seq 60); do
  "$tools/ask_llm" "$url" '{retries: 0, cache: false}' draw x '' 1 1 1 1 >out 2>&1 && break
  sleep 1
done
cat out
# Differences of the log-probabilities of tokens that both answers name, in standard deviations (the line sd), a line each.
differ() {
  awk '/^ledger/ { next } { x = $NF; $NF = "" } FILENAME == ARGV[1] { there[$0] = x; if ($1 == "sd") sd = x; next }
       $0 in there && $1 != "sd" { print (x - there[$0]) / sd }' "$1" "$2"
}
question='Q: 47 + 85 = ?
'
end='
'
draw() {   # model, options, count
  "$tools/ask_llm" "$1" "$2" draw "$question" "$end" 30 1 1 "$3"
}

echo "== texts drawn"
draw "$url" '{cache: "kept"}' 12 >out || fail 'draws'
cat out
draw "$url" '{cache: "kept"}' 12 >again || fail 'draws again'
grep -q 'prompt 0, answer 0, cached 12' again || fail 'the cache was not asked'
draw "$url" '{cache: false}' 12 >again || fail 'draws by the same seeds'
sed 's/ |.*//; /^ledger/d' out >a
sed 's/ |.*//; /^ledger/d' again >b
cmp -s a b || fail 'the same seeds give other texts'

if [ "$which" = llama-server ]; then
  grep -q unscored out && fail 'a draw without a score'
  echo "== next tokens: server, built-in decoder"
  for context in 'Q: 47' "$question" 'The old cat' 'A: 1' 'The day after 28 '; do
    "$tools/ask_llm" "$url" '{tokens: true, cache: false}' next "$context" >out || fail 'tokens'
    "$tools/ask_llm" "builtin:$model" 0 next "$context" >own || fail 'builtin'
    sed -i '/^ledger/d' out own
    paste -d ' ' out own
    sd=$(sed -n 's/^sd //p' own)
    differ own out >>differences
  done
  # the goal for q8_0: llama-server rounds keys, values and what is multiplied, Norn does not
  awk '{ s += $1 * $1 } END { r = sqrt(s / NR); printf "root mean square of %d differences: %.4f standard deviations (goal: .02)\n", NR, r; exit !(r < .02) }' \
    differences || fail 'next tokens differ'
  echo "== scores of texts: server by whole texts, by tokens, built-in decoder"
  for text in '47 + 85 = 132' '47 + 85 = 133' 'A: 132' 'hello'; do
    for temperature in 1 0.7; do
      for lm in "\"$url\", { cache: false }" "\"$url\", { cache: false, tokens: true }" "\"builtin:$model\""; do
        "$norn" -q -e "print(logpdf(llm($lm).context(\"Q: 47 + 85 = ?\\n\").text(stop = \"\\n\", max = 30, temperature = $temperature), \"$text\"))" ||
          fail "score by $lm"
      done >out
      echo "$text, temperature $temperature:" $(cat out)
      # .02 standard deviations a token (q8_0), of bytes
      awk -v "may=$(awk "BEGIN { print .02 * $sd * (${#text} + 1) / $temperature }")" '{ x[NR] = $1 } function off(a, b) { return a - b > b - a ? a - b : b - a }
        END { exit !(NR == 3 && off(x[1], x[2]) < 1e-5 && off(x[2], x[3]) < may) }' out || fail "scores of $text differ"
    done
  done
  "$tools/ask_llm" "$url" '{cache: false}' chat 'What is 1 + 1?' "$end" 10 1 1 1 >out || echo 'no chat (the model has no template)'
else
  echo "== scores by an echo"
  "$tools/ask_llm" "$url" '{cache: false}' score "$question" '' 13 1 '47 + 85 = 132' >out
  cat out
fi
[ $bad = 0 ] && echo "real.sh: all is well"
exit $bad
