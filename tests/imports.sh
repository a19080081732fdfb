#!/bin/sh
# Where `import` looks for files, and that a file is one module however it is named.
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' 0
trap 'exit 1' 1 2 13 15
bad=0
cd "$work" || exit 99
mkdir -p a/deep b c
echo 'print("near")
let where = "a"' >a/near.norn
echo 'let where = "b"' >b/far.norn
echo 'let where = "c"' >c/far.norn
ln -s ../a/near.norn b/same.norn

check() {   # wanted output; the program comes on standard input as $1
  wanted=$2
  got=$(NORN_PATH=$path "$NORN" "$1" 2>&1)
  [ "$got" = "$wanted" ] && return
  echo "$1 with NORN_PATH=$path gives"
  echo "$got"
  echo "not"
  echo "$wanted"
  bad=1
}

# Beside the importing file, whatever the working directory.
echo 'import near
print(near.where)' >a/main.norn
path=
check a/main.norn 'near
a'
# Up and down from it.
echo 'import "../near.norn" as near
print(near.where)' >a/deep/main.norn
check a/deep/main.norn 'near
a'
# Then in NORN_PATH, in its order.
echo 'import far
print(far.where)' >a/path.norn
path=$work/b:$work/c
check a/path.norn b
path=$work/nowhere:$work/c/:$work/b
check a/path.norn c
# An absolute name.
echo "import \"$work/c/far.norn\" as far
print(far.where)" >a/absolute.norn
path=
check a/absolute.norn c
# Three names, one file: its top level runs once.
echo 'import "near.norn" as x
import "../b/same.norn" as y
import "./deep/../near.norn" as z
print(x.where == z.where)' >a/names.norn
check a/names.norn 'near
true'
# A module that imports the script itself is a cycle.
echo 'import "script.norn" as s
let v = 1' >a/back.norn
echo 'import back
print(back.v)' >a/script.norn
NORN_PATH= "$NORN" a/script.norn 2>&1 | grep -F -q 'circle: a/script.norn -> a/back.norn -> a/script.norn' || {
  echo 'no cycle is seen'
  bad=1
}
# A folder, and a file that is not text.
mkdir a/folder.norn
echo 'import folder' >a/dir.norn
NORN_PATH= "$NORN" a/dir.norn 2>&1 | grep -F -q 'folder.norn' || { echo 'no error for a folder'; bad=1; }
printf 'let x = "\377"\n' >a/binary.norn
echo 'import binary' >a/bin.norn
NORN_PATH= "$NORN" a/bin.norn 2>&1 | grep -F -q 'a/binary.norn:1:10: error' || { echo 'no place for malformed UTF-8'; bad=1; }
exit $bad
