#!/bin/sh
# The rules of the house: a shelf includes itself and lower shelves; nobody but lang includes lang;
# each outside package enters by one door.  There is no list of exceptions.
cd "$srcdir/src" || exit 99
bad=0

wrong() {
  echo "$*"
  bad=1
}

# The names that the files of a shelf and its folders include: "file name" a line.
includes() {   # a shelf, the opening mark
  for file in "$1"/*.[ch] "$1"/*/*.[ch]; do
    [ -f "$file" ] && sed -n "s|^[ 	]*#[ 	]*include[ 	]*$2\([^\">]*\)[\">].*|$file \1|p" "$file"
  done
}

# "file name" lines on standard input; the arguments are the folders that may be named.
check() {
  while read -r file name; do
    case $name in
    norn.h | norn_infer.h | norn_net.h | norn_llm.h | config.h) continue ;;
    */*) folder=${name%%/*} ;;
    *) folder=${file%%/*}
       [ -f "$folder/$name" ] || folder="no such file" ;;
    esac
    for may; do
      [ "$folder" = "$may" ] && continue 2
    done
    echo "src/$file may not include \"$name\""
  done
}

# Low to high: each shelf sees those before it.
shelves='base num io dist graph gpu nn llm infer lib'
below=
for shelf in $shelves; do
  below="$below $shelf"
  stdlib=
  [ $shelf = lib ] && stdlib=stdlib
  found=$(includes $shelf '"' | check $below $stdlib)
  [ -z "$found" ] || wrong "$found"
done
found=$(includes lang '"' | check base num graph lang)
[ -z "$found" ] || wrong "$found"
found=$(includes cli '"' | check cli)
[ -z "$found" ] || wrong "$found"
for folder in *; do
  case " $shelves lang cli " in *" $folder "*) ;; *) wrong "src/$folder is no shelf" ;; esac
done

# A package's headers, and the one file or folder that includes them.
door() {
  for folder in *; do includes "$folder" '[<"]'; done | while read -r file name; do
    case $name in
    $1) case $file in
        $2) ;;
        *) echo "src/$file includes <$name>: the door of that package is src/$2" ;;
        esac ;;
    esac
  done
}
found=$(
  door 'mpfr.h' 'num/real.c'
  door 'gmp.h' 'num/real.c'
  door 'gsl/*' 'num/*'
  door '*cblas.h' 'num/la.c'
  door 'lapacke.h' 'num/la.c'
  door 'ffi.h' 'lib/lib_ffi.c'
  door 'readline/*' 'cli/repl.c'
  door 'jansson.h' 'io/json.c'
  door 'csv.h' 'io/csv.c'
  door 'netcdf.h' 'io/netcdf.c'
  door 'cairo*' 'io/canvas_cairo.c'
  door 'curl/*' 'llm/http/http.c'
  door 'cuda*' 'gpu/*'
  door 'nvrtc.h' 'gpu/*'
)
[ -z "$found" ] || wrong "$found"
exit $bad
