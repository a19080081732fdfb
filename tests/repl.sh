#!/bin/sh
# The REPL on a terminal: each script in repl/ is played by tools/ptydrive.  A script's own first
# comment says what it is about.  Then the REPL in a pipe.
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' 0
trap 'exit 1' 1 2 13 15
drive=$builddir/tests/tools/ptydrive
bad=0
case $drive in /*) ;; *) drive=$PWD/$drive ;; esac
scripts=$(cd "$srcdir/tests/repl" && pwd) || exit 99
if ! "$NORN" --version | grep -q 'readline: yes'; then
  echo 'built without readline: only the pipe is tested'
  scripts=$work/none
fi

HOME=$work
export HOME
unset XDG_STATE_HOME
mkdir "$work/play"
cd "$work/play" || exit 99
printf 'let loaded = 12345\nfn triple(x) = 3 * x\n' >loadme.norn
for script in "$scripts"/*.pty; do
  [ -f "$script" ] || continue
  "$drive" "$script" "$NORN" >"$work/log" 2>&1 || { cat "$work/log"; bad=1; }
done

fail() {
  echo "repl.sh: $*"
  bad=1
}

# In a pipe: no prompts, values only, and the status says whether an input failed.
printf 'let x = 3\nx + 1\n"text"\nfn f(a) {\n  a * 2\n}\nf(21)\n:type x\n' | "$NORN" >out 2>err || fail 'a pipe without mistakes fails'
printf '4\n"text"\n42\nan integer\n' | diff - out || fail 'a pipe prints something else'
[ -s err ] && { cat err; fail 'a pipe writes to standard error'; }
printf '1 +* 2\n6 * 7\n' | "$NORN" >out 2>err && fail 'a mistake in a pipe goes unnoticed'
[ "$(cat out)" = 42 ] || fail 'a pipe ends at its first mistake'
grep -q ':1:4: error: ' err || fail 'a mistake in a pipe has no place'
printf 'fn f(a) {\n' | "$NORN" >out 2>err && fail 'an unfinished statement in a pipe goes unnoticed'
printf ':load nowhere.norn\n' | "$NORN" >out 2>err && fail ':load of a missing file goes unnoticed'
printf ':load loadme.norn\ntriple(loaded)\n:reload\n:quit\n1\n' | "$NORN" >out 2>err || fail ':load in a pipe fails'
[ "$(cat out)" = 37035 ] || fail ':load, :reload or :quit in a pipe'
exit $bad
