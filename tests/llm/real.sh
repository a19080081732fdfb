#!/bin/sh
# Real servers of language models, on this machine: from a build folder,
#
#     srcdir=.. sh ../tests/llm/real.sh [llama-cpp-python | llama-server] [FILE.gguf]
#
# puts the server into a Python environment of its own (build/venv-llm, or the one that NORN_LLM_VENV names), starts it on the
# model (builtin:tiny's, which gets a chat template), and does three things: the suite of what a server has to do (texts by
# seeds, the cache, several answers, record and replay, scores, chats, refusals), the comparison of log-probabilities with
# those of the built-in decoder on the same file, and real.norn: how often each text is drawn.
#
# llama-cpp-python is compiled by pip, which took four and a half minutes (414 s of two cores' time; 0.3.36, gcc 12).
# llama-server comes with the package xllamacpp, which is compiled already.  It is no part of make check: it needs a network
# for the packages.  The whole takes a minute besides.
which=${1:-llama-cpp-python}
here=$(cd "$srcdir" && pwd) || exit 99
model=${2:-$here/src/llm/tiny/tiny.gguf}
case $model in /*) ;; *) model=$PWD/$model ;; esac
tools=$PWD/tests/tools
norn=${NORN:-$PWD/norn}
venv=${NORN_LLM_VENV:-$PWD/venv-llm}
work=$(mktemp -d) || exit 99
trap '[ -n "$server" ] && kill "$server"; rm -rf "$work"' 0
trap 'exit 1' 1 2 13 15
bad=0

case $which in
llama-server) package=xllamacpp import=xllamacpp ;;
llama-cpp-python) package='llama-cpp-python[server]' import=llama_cpp.server ;;
*) echo 'real.sh [llama-cpp-python | llama-server] [FILE.gguf]'; exit 99 ;;
esac
[ -x "$venv/bin/python" ] || python3 -m venv "$venv" || exit 99
"$venv/bin/python" -c "import $import" 2>/dev/null || "$venv/bin/pip" install -q "$package" || exit 99

cd "$work" || exit 99
XDG_CACHE_HOME=$work
export XDG_CACHE_HOME
unset NORN_LLM_KEY OPENAI_API_KEY http_proxy https_proxy all_proxy ALL_PROXY
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
url=http://127.0.0.1:$port/v1
question='Q: 47 + 85 = ?
'
end='
'

fail() {
  echo "real.sh: $*"
  bad=1
}

says() {
  grep -F -q -e "$1" out || { cat out; fail "lacks: $1"; }
}

ask() {   # options, arguments
  options=$1
  shift
  "$tools/ask_llm" "$url" "$options" "$@" >out 2>&1
}

draw() {   # options, count
  ask "$1" draw "$question" "$end" 30 1 1 "$2"
}

stop_server() {
  [ -n "$server" ] && kill "$server" && wait "$server" 2>/dev/null
  server=
}

serve() {   # file
  stop_server
  if [ "$which" = llama-server ]; then
    "$venv/bin/python" "$here/tests/llm/serve.py" "$1" "$port" >log 2>&1 &
  else
    "$venv/bin/python" -m llama_cpp.server --model "$1" --host 127.0.0.1 --port "$port" --logits_all true --n_ctx 192 \
      --n_threads 1 >log 2>&1 &
  fi
  server=$!
  for try in $(seq 60); do
    ask '{retries: 0, cache: false}' draw x '' 1 1 1 1 && return
    sleep 1
  done
  cat out log
  exit 99
}

# Differences of the log-probabilities of tokens that both answers name, in standard deviations (the line sd), a line each.
differ() {
  awk '/^ledger/ { next } { x = $NF; $NF = "" } FILENAME == ARGV[1] { there[$0] = x; if ($1 == "sd") sd = x; next }
       $0 in there && $1 != "sd" { print (x - there[$0]) / sd }' "$1" "$2"
}

# The goal for q8_0: llama.cpp rounds keys, values and what is multiplied, Norn does not.
near() {   # what, differences in standard deviations
  awk -v "what=$1" '{ s += $1 * $1 } END { r = sqrt(s / NR); printf "%s: root mean square of %d differences: %.4f standard deviations (goal: .02)\n", what, NR, r; exit !(NR && r < .02) }' "$2" ||
    fail "$1 differ"
}

template="{{ bos_token }}{% for message in messages %}{{ 'GPT4 Correct ' + message['role'].title() + ': ' + message['content'] + '<|end_of_turn|>'}}{% endfor %}{% if add_generation_prompt %}{{ 'GPT4 Correct Assistant:' }}{% endif %}"
python3 "$here/tests/llm/gguf_set.py" "$model" chat.gguf "tokenizer.chat_template=$template" || exit 99
serve "$work/chat.gguf"
model=$work/chat.gguf

echo "== $which: the suite"
draw '{cache: "kept"}' 12 || fail 'draws'
says 'texts 12, prompt '
grep -q 'unscored' out && fail 'a draw without a score'
cp out first
sed 's/ |.*//; /^ledger/d' first >want
same() {   # what
  sed 's/ |.*//; /^ledger/d' out | cmp -s - want || { cat out; fail "$1: other texts"; }
}
draw '{cache: "kept"}' 12 || fail 'draws again'
says 'prompt 0, answer 0, cached 12'
grep -v ledger first >a
grep -v ledger out | cmp -s - a || fail 'the cache gives something else'
draw '{cache: false}' 12 && same 'the same seeds'
draw '{cache: false, in_flight: 1}' 12 && same 'one after the other'
draw '{cache: false, n: 4}' 12 || fail 'several answers'
says 'texts 12, prompt '
draw '{cache: false, record: "tape"}' 12 && same 'recorded'
ask '{cache: false}' draw '' "$end" 3 1 1 6 || fail 'no context'
[ "$(grep -c cut out)" = 6 ] && [ "$(awk -F ' [|] cut' '/cut/ && length($1) == 3 { n++ } END { print n }' out)" = 6 ] ||
  { cat out; fail 'three tokens of no context'; }
ask '{cache: false}' chat 'Q: 1 + 2 = ?' "$end" 4 1 1 6 || fail 'a chat'
[ "$(grep -c ' | ' out)" = 6 ] || fail 'a chat'
ask '{cache: false}' score "$question" "$end" 30 1 "47$end" && says 'cut -inf' || fail 'a stop inside of a text'
ask '{cache: false, retries: 0}' draw "$question" '' 9999 1 1 1
grep -q 'cut' out && fail 'a text of 9999 tokens in a window of 192'
NORN_LLM_KEY=sk-not-needed ask '{cache: false}' draw "$question" "$end" 30 1 1 1 || fail 'a key that is not needed'

echo "== $which: how often each text is drawn"
"$norn" -q "$here/tests/llm/real.norn" "$model" "$url" '{"cache": false}' chat >out 2>&1 || fail 'real.norn'
cat out
grep -q WRONG out && fail 'texts are drawn wrongly'

score() {   # model and options, text, temperature
  "$norn" -q -e "print(logpdf(llm($1).context(\"Q: 47 + 85 = ?\\n\").text(stop = \"\\n\", max = 30, temperature = $3), \"$2\"))" 2>&1
}

if [ "$which" = llama-server ]; then
  echo "== next tokens: server, built-in decoder"
  for context in 'Q: 47' "$question" 'The old cat' 'A: 1' 'The day after 28 '; do
    ask '{tokens: true, cache: false}' next "$context" || fail 'tokens'
    "$tools/ask_llm" "builtin:$model" 0 next "$context" >own || fail 'builtin'
    sed -i '/^ledger/d' out own
    paste -d ' ' out own
    sd=$(sed -n 's/^sd //p' own)
    differ own out >>differences
  done
  for said in 'Q: 1 + 2 = ?' 'A: 3'; do
    ask '{tokens: true, cache: false}' chat-next "$said" || fail 'a chat by tokens'
    "$tools/ask_llm" "builtin:$model" 0 chat-next "$said" >own || fail 'a chat of the built-in decoder'
    sed -i '/^ledger/d' out own
    paste -d ' ' out own
    differ own out >>differences
  done
  near 'next tokens of texts and chats' differences
  echo "== scores of texts: server by whole texts, by tokens, built-in decoder"
  for text in '47 + 85 = 132' '47 + 85 = 133' 'A: 132' 'hello'; do
    for temperature in 1 0.7; do
      for lm in "\"$url\", { cache: false }" "\"$url\", { cache: false, tokens: true }" "\"builtin:$model\""; do
        score "$lm" "$text" $temperature || fail "score by $lm"
      done >out
      echo "$text, temperature $temperature:" $(cat out)
      # .02 standard deviations a token (q8_0), of bytes
      awk -v "may=$(awk "BEGIN { print .02 * $sd * (${#text} + 1) / $temperature }")" '{ x[NR] = $1 } function off(a, b) { return a - b > b - a ? a - b : b - a }
        END { exit !(NR == 3 && off(x[1], x[2]) < 1e-5 && off(x[2], x[3]) < may) }' out || fail "scores of $text differ"
    done
  done
else
  echo "== next tokens: the library that is in llama-cpp-python, built-in decoder"
  "$venv/bin/python" "$here/tests/llm/llama_cpp.py" logits "$model" 256 $(printf %s "$question" | od -An -v -tu1) >there ||
    fail 'llama_cpp.py'
  cat >own.norn <<NORN
let lm = llm("builtin:$model")
for t in [-1] ++ lm.tokens("Q: 47 + 85 = ?\n") with c = lm.context() {
  let here = if t < 0 { c } else { c.extend(t) }
  print(join([show(x) for x in here.logprobs], " "))
  next here
}
NORN
  "$norn" -q own.norn >own || fail 'own.norn'
  # differences of all log-probabilities behind each prefix, in standard deviations of the own ones
  awk 'FILENAME == "own" { for (k = 1; k <= NF; k++) own[FNR, k] = $k; next }
       { s = q = 0; for (k = 1; k <= NF; k++) { x = own[FNR, k]; s += x; q += x * x }
         sd = sqrt(q / NF - s / NF * s / NF); for (k = 1; k <= NF; k++) print ($k - own[FNR, k]) / sd }' own there >differences
  near 'log-probabilities of all tokens' differences
  echo "== scores of texts by an echo, built-in decoder"
  for text in '47 + 85 = 132' '47 + 85 = 136'; do
    { score "\"$url\", { cache: false }" "$text" 1; score "\"builtin:$model\"" "$text" 1; } >out
    echo "$text:" $(cat out)
    # .02 standard deviations (3.4) a token
    awk '{ x[NR] = $1 } END { d = x[1] - x[2]; exit !(NR == 2 && x[1] < 0 && d * d < (.02 * 3.4 * 14) ^ 2) }' out ||
      fail "scores of $text differ"
  done
  # what has no score there is an error, never a number
  score "\"$url\", { cache: false }" '47 + 85 = 13' 1 >out && fail 'the score of an end that is not told'
  says 'does not say how likely the text ends here'
  score "\"$url\", { cache: false }" '47 + 85 = 132' 0.7 >out && fail 'a score under a temperature'
  says "can't score a text under temperature = 0.7"
  echo "== a model without begin token"
  python3 "$here/tests/llm/gguf_set.py" "$model" none.gguf tokenizer.ggml.add_bos_token=false || fail 'gguf_set.py'
  serve "$work/none.gguf"
  ask '{cache: false}' score "$question" "$end" 30 1 '47 + 85 = 132' && { cat out; fail 'a score of the wrong tokens'; }
  says 'it has no begin token'
  ask '{cache: false}' draw "$question" "$end" 30 1 1 2 || fail 'draws of a model without begin token'
  grep -q unscored out && fail 'an unscored draw of a model without begin token'
fi
[ $bad = 0 ] && echo "real.sh: all is well"
exit $bad
