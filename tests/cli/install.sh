#!/usr/bin/env bash
# An installed fmal serves a program of someone else's, found by CMake and by pkg-config.
set -eu -o pipefail

if [ -n "${FMAL_SANITIZE:-}" ]; then
    echo "skipped: a library with sanitizers wants programs with sanitizers"
    exit 77
fi
if ! command -v pkg-config >/dev/null; then
    echo "skipped: pkg-config is not installed"
    exit 77
fi

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
prefix=$dir/prefix
cd "$dir"

cmake --install "$FMAL_BUILD" --prefix "$prefix" >install.log

cat >consumer.c <<'EOF'
#include <fmal/io.h>
#include <stdio.h>

int main(void)
{
    char version[32];

    fmal_h5_version(version, sizeof version);
    return puts(fmal_status_text(FMAL_OK)) < 0 || version[0] == '\0';
}
EOF
cat >CMakeLists.txt <<'EOF'
cmake_minimum_required(VERSION 3.21)
project(consumer LANGUAGES C)
find_package(fmal REQUIRED)
find_package(fmal REQUIRED) # as two folders of one project may do
add_executable(consumer consumer.c)
target_link_libraries(consumer PRIVATE fmal::fmal)
EOF

expect() { # what command...
    local what=$1 got
    shift
    got=$("$@")
    if [ "$got" != success ]; then
        echo "$what: printed \"$got\", not \"success\"" >&2
        exit 1
    fi
    echo "ok $what"
}

cmake -S . -B build -DCMAKE_PREFIX_PATH="$prefix" >cmake.log
cmake --build build >>cmake.log
expect "find_package(fmal)" ./build/consumer

pc=$(find "$prefix" -name fmal.pc)
lib=$(dirname "$(dirname "$pc")")
export PKG_CONFIG_PATH=${pc%/*}
read -r -a flags <<<"$(pkg-config --cflags --libs fmal)"
cc -o with_pc consumer.c "${flags[@]}"
expect "pkg-config fmal" env LD_LIBRARY_PATH="$lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" ./with_pc

# The installed program and headers stand on their own.
"$prefix"/bin/fmal --version
for header in "$prefix"/include/fmal/*.h; do
    read -r -a flags <<<"$(pkg-config --cflags fmal)"
    cc -std=c11 -Wall -Werror -fsyntax-only -x c "${flags[@]}" "$header"
done
echo "ok headers"
