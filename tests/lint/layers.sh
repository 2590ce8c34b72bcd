#!/usr/bin/env bash
# tools/check_layers finds each fault that it is for, and nothing in a tree without any.
set -eu -o pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
mkdir -p tools include/fmal src/base src/mid src/top src/cli
cp "$FMAL_SOURCE/tools/check_layers" tools/
cat >CMakeLists.txt <<'EOF'
fmal_module(base LINKS m)
fmal_module(mid USES base LINKS fmal::hdf5 MPI::MPI_C)
fmal_module(top USES mid)
fmal_module(cli USES top)
EOF

clean_tree() {
    rm -rf build
    echo '#include "fmal/word.h"' >include/fmal/mid.h
    echo '#include "fmal/mid.h"' >include/fmal/top.h
    echo 'int fmal_word(void);' >include/fmal/word.h
    echo '#include "fmal/top.h"' >include/fmal/helper.h
    echo '#include "fmal/helper.h"' >src/top/helper.c
    printf '#include "fmal/top.h"\n#include "fmal/word.h"\n#include <mpi.h>\n' >src/top/top.c
    echo '/* stdout, exit(1), getenv("X") in words only */' >>src/top/top.c
    echo 'int x = snprintf(buffer, size, "printf( exit( argv");' >>src/top/top.c
    printf '#include "mid_impl.h"\n#include "fmal/mid.h"\n' >src/mid/mid.c
    echo '#include <hdf5.h>' >src/mid/mid_impl.h
    echo '#include "fmal/word.h"' >src/base/word.c
    echo 'int main(int argc, char **argv) { printf("%s", getenv(argv[0])); exit(0); }' >src/cli/main.c
}

failed=0
expect() { # what file line message
    clean_tree
    mkdir -p "$(dirname "$2")"
    echo "$3" >>"$2"
    if out=$(bash tools/check_layers 2>/dev/null) || ! grep -qF "$4" <<<"$out"; then
        echo "not ok $1: got \"$out\""
        failed=1
    else
        echo "ok $1"
    fi
}

clean_tree
if bash tools/check_layers 2>/dev/null; then
    echo "ok a clean tree passes"
else
    echo "not ok a clean tree passes"
    failed=1
fi

expect "an upward include" src/mid/mid.c '#include "fmal/top.h"' "fmal/top.h of top, which mid does not use"
expect "an upward include of a header" include/fmal/word.h '#include "fmal/mid.h"' "which base does not use"
expect "a header known by its source" src/mid/mid.c '#include "fmal/helper.h"' "fmal/helper.h of top"
expect "a private header" src/top/top.c '#include "mid_impl.h"' "not in its own folder"
expect "a private header by its path" src/top/top.c '#include "../mid/mid_impl.h"' "not in its own folder"
expect "a foreign header" src/top/top.c '#include <hdf5.h>' "does not link fmal::hdf5"
expect "a foreign header in a public one" include/fmal/top.h '#include <zlib.h>' "does not link ZLIB::ZLIB"
expect "MPI below its module" src/base/word.c '#include <mpi.h>' "uses no module that links MPI"
expect "ScaLAPACK" src/top/top.c 'pdpotrf_(a, b);' "does not link fmal::scalapack"
expect "printing" src/top/top.c 'if (x) printf("y");' "prints to stdout"
expect "printing to stdout" src/top/top.c 'fputs("y", stdout);' "prints to stdout"
expect "exiting" src/top/top.c 'exit (1);' "exits"
expect "the environment" src/top/top.c 'x = getenv("HOME");' "reads the environment"
expect "the command line" src/top/top.c 'x = argv[1];' "reads argv"
expect "a folder that is no module" src/other/other.c 'int x;' "other is not in the table"
expect "a cycle" CMakeLists.txt 'fmal_module(low USES high)' "high, which is not defined above"

# A symbol without the prefix, where there is a compiler to make one.
clean_tree
mkdir -p build/ci
echo 'int fmal_named; int stranger;' >named.c
cc -c named.c -o named.o
ar rc build/ci/libfmal.a named.o
if out=$(bash tools/check_layers 2>/dev/null) || ! grep -q stranger <<<"$out" || grep -q fmal_named <<<"$out"; then
    echo "not ok a symbol without the prefix: got \"$out\""
    failed=1
else
    echo "ok a symbol without the prefix"
fi
exit $failed
