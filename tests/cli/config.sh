#!/usr/bin/env bash
# Options from an INI file: its section, the command line over it, and errors by file and line.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

make_pool pool.h5 --n 600

# ini NAME LINE...
ini() {
    local name=$1
    shift
    printf '%s\n' "$@" >"$dir/$name.ini"
}

# ---- Errors -----------------------------------------------------------------------------

# wrong NAME TEXT LINE...: TEXT is what follows the file's name
wrong() {
    local name=$1 text=$2
    shift 2
    ini "$name" "$@"
    refuse "$name" 2 "$dir/$name.ini:$text" select --config "$dir/$name.ini"
}

wrong unknown-key "3: batchh: unknown option; did you mean 'batch'?" \
    "[select]" "pool = pool.h5" "batchh = 5"
wrong unknown-section "2: section [selekt] is unknown; this command reads [select]" \
    "[selekt]" "batch = 5"
wrong no-section "1: batch: comes before any section" "batch = 5"
wrong malformed-line "2: neither [section] nor key = value" "[select]" "batch 5"
wrong malformed-section "2: neither [section] nor key = value" "" "[select" "batch = 5"
wrong bad-value "4: batch: 'many' is not a whole number" "; how many" "[select]" "" "batch = many"
wrong value-out-of-range "2: lambda: -1 is too small" "[select]" "lambda = -1"
wrong unknown-strategy "2: strategy: unknown strategy 'bayt'; did you mean 'bait'?" \
    "[select]" "strategy = bayt"
wrong bad-flag "2: force: 'maybe' is not true or false" "[select]" "force = maybe"
wrong long-line "2: the line is longer than" "[select]" \
    "pool = $(printf '%0500d' 0 | tr 0 x)" "batch = 5"
wrong first-error-first "2: batchh: unknown option" "[select]" "batchh = 5" "no equals sign"
refuse "missing file" 1 "none.ini: cannot read: No such file" select --config none.ini
refuse "directory" 1 "$dir: cannot read: Is a directory" select --config "$dir"

ini void "[select]" "pool = $dir/pool.h5" "strategy = random" "lambda = 2"
refuse "option that the strategy does not use" 2 "--lambda: the strategy 'random' does not" \
    select --config "$dir/void.ini"
ini required "[select]" "batch = 5"
refuse "required option nowhere" 2 "--pool FILE is missing" select --config "$dir/required.ini"

# ---- Values -----------------------------------------------------------------------------

ini good "; other commands' sections may hold what this one does not know" \
    "[run]" "rounds = 5" "no-option-of-select = 5" \
    "[select]" "pool = $dir/pool.h5   ; a comment" "strategy = random" "batch = 7" \
    "quiet = yes" "output = from-file.h5" "seed = 3"
accept "all from the file" select --config "$dir/good.ini"
csv=$work/np4/files/from-file.csv
same "batch of the file" "$(column "$csv" order)" "0 1 2 3 4 5 6"
same "quiet of the file" "$(cat "$work/np1/err")" ""
seed3=$(column "$csv" index)

accept "the command line over the file" select --batch 3 --config "$dir/good.ini" --seed 4
csv=$work/np4/files/from-file.csv
same "batch of the command line" "$(column "$csv" order)" "0 1 2"
check "seed of the command line" test "$(column "$csv" index)" != "${seed3% * * * *}"

accept "the same by the command line alone" \
    select --pool "$dir/pool.h5" --strategy random --batch 7 --quiet --seed 3
same "the same picks" "$(column "$work/np1/files/picks.csv" index)" "$seed3"

# ---- Printing ---------------------------------------------------------------------------

accept "print of files and command line" \
    select --config "$dir/good.ini" --seed 4 --csv other.csv --print-config
for np in $on_ranks; do
    same "np $np: printed once" "$(grep -c '^\[select\]$' "$work/np$np/out")" 1
    for line in "pool = $dir/pool.h5" "batch = 7" "seed = 4" "lambda = 1" "csv = other.csv" \
        "quiet = true" "force = false" "; max-time ="; do
        check "np $np: $line" grep -qxF "$line" "$work/np$np/out"
    done
    same "np $np: not itself, nor the file" "$(grep -c config "$work/np$np/out")" 0
    same "np $np: nothing else is said" "$(cat "$work/np$np/err")" ""
    same "np $np: nothing is made" "$(ls -A "$work/np$np/files")" ""
done
cp "$work/np1/out" "$dir/printed.ini"
accept "picks by what was printed" select --config "$dir/printed.ini" --seed 3
same "are the same, though the strategy does not use lambda" \
    "$(column "$work/np4/files/other.csv" index)" "$seed3"

on_ranks=1
for command in import select run inspect bench info; do
    accept "print of $command" "$command" --print-config
    cp "$work/np1/out" "$dir/$command.ini"
    accept "print of $command, read back" "$command" --config "$dir/$command.ini" --print-config
    check "$command: printed the same" cmp "$dir/$command.ini" "$work/np1/out"
done
on_ranks="1 4"
accept "a list" import --images a b --images c --print-config
check "is printed word by word" grep -qzF $'\nimages = a\n    b\n    c\n' "$work/np1/out"
refuse "print: a wrong option all the same" 2 "--batch: 0 is too small" select --batch 0 --print-config
refuse "print: a value that no file can hold" 2 "--pool: an INI file cannot hold 'a ;b'" \
    select --pool "a ;b" --print-config
ini print "[select]" "print-config = true"
refuse "print: in a file" 2 "print-config: belongs on the command line" \
    select --config "$dir/print.ini"

# A run by its printed defaults, some of which the optimizer or the model does not use.
idx_images 40 >"$dir/images"
idx_labels 40 >"$dir/labels"
"$FMAL" import --quiet --format idx --images "$dir/images" --labels "$dir/labels" \
    -o "$dir/data.h5" >/dev/null
"$FMAL" run --data "$dir/data.h5" --run out --initial 5 --batch 3 --rounds 1 --model logreg \
    --strategy entropy --epochs 3 --print-config >"$dir/run.ini"
accept "a run by what was printed" run --quiet --config "$dir/run.ini"
same "its labels" "$(column "$work/np1/files/out/metrics.csv" labelled)" "5 8"
finish
