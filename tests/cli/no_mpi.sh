#!/usr/bin/env bash
# Help, versions, usage errors, inspect and import work where MPI cannot start.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

make_pool pool.h5 --n 600
idx_images 6 >"$dir/images"
idx_labels 6 >"$dir/labels"
on_ranks=1

# A transport that is not there ends MPI_Init, and with it the program.
export OMPI_MCA_pml=none-such
fresh 1 info
[ "$(cat "$work/np1/rc")" -ne 0 ] || skip "this MPI starts without its transport"

accept "--version" --version
check "a version" grep -qx 'fmal [0-9.]*' "$work/np1/out"
accept "help" help
commands=$(sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' "$work/np1/out")
for command in import select run inspect info help; do
    check "help lists $command" grep -qx "$command" <<<"$commands"
done
cp "$work/np1/out" "$dir/overview"
for word in --help -h; do
    accept "$word" "$word"
    check "$word prints the same" cmp "$work/np1/out" "$dir/overview"
done
for command in $commands; do
    [ "$command" != help ] || continue
    accept "help $command" help "$command"
    cp "$work/np1/out" "$dir/help"
    check "help $command has usage and options" grep -q "^Usage: fmal $command " "$dir/help"
    check "help $command names --config" grep -q -- '--config FILE' "$dir/help"
    accept "$command --help" "$command" --help
    check "$command --help prints the same" cmp "$work/np1/out" "$dir/help"
    check "the whole overview has $command" grep -q "^  $command  " "$dir/overview"
done
accept "help --markdown" help --markdown
for command in $commands; do
    [ "$command" = help ] || check "Markdown has $command" grep -q "^## .fmal $command" "$work/np1/out"
done
check "help lists the strategies" \
    grep -q 'random, entropy, margin, confidence, .*bait' <<<"$("$FMAL" help select | tr -s '[:space:]' ' ')"

refuse "help on nothing" 2 "unknown command 'zzz'" help zzz
refuse "usage error" 2 "--batch: 0 is too small" select --batch 0
refuse "option missing" 2 "--pool FILE is missing" select
refuse "not inspectable" 1 "none.h5: cannot read" inspect none.h5
refuse "directory without a run" 1 "there is no run in it (no checkpoint.h5)" inspect "$dir/tmp"

accept "inspect" inspect "$dir/pool.h5"
same "inspect: what it says" "$(tr -s ' ' <"$work/np1/out" | head -9)" "file $dir/pool.h5
kind pool
samples 600
features 5
classes 3
outputs logits
labelled 4
excluded 0
candidates 596"
accept "import" import --quiet --format idx --images "$dir/images" --labels "$dir/labels" -o data.h5
same "import: the name of the output" "$(cat "$work/np1/out")" data.h5
mv "$work/np1/files/data.h5" "$dir"
accept "inspect a data set" inspect "$dir/data.h5"
check "inspect: its kind" grep -q '^kind  *data set' "$work/np1/out"
finish
