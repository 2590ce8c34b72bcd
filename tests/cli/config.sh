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
finish
