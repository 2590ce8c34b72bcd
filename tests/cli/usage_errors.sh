#!/usr/bin/env bash
# Wrong usage: exit code 2, said once whatever the number of ranks, and what to do instead.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

make_pool pool.h5 --n 600
pool=(select --quiet --pool "$dir/pool.h5")

# ---- Commands and options ---------------------------------------------------------------

refuse "unknown command" 2 "unknown command 'selekt'; did you mean 'select'?" selekt
refuse "command that is like none" 2 "unknown command 'zzz'; fmal help lists all" zzz
refuse "unknown option" 2 "--batchh: unknown option; did you mean '--batch'?" \
    "${pool[@]}" --batchh 5
refuse "option that is like none" 2 "--zzzzzz: unknown option; see --help" \
    "${pool[@]}" --zzzzzz 5
refuse "ambiguous abbreviation" 2 "--check: unknown option; did you mean '--checkpoint-" \
    "${pool[@]}" --check 5
refuse "no value" 2 "--batch: a value is missing" "${pool[@]}" --batch
refuse "value of a flag" 2 "--quiet=5: takes no value" "${pool[@]}" --quiet=5
refuse "word too many" 2 "'extra': an unexpected word" "${pool[@]}" extra
refuse "word after --" 2 "'extra': an unexpected word" "${pool[@]}" -- extra
refuse "no pool" 2 "--pool FILE is missing" select --batch 5
refuse "no file to inspect" 2 "FILE is missing" inspect
refuse "two files to inspect" 2 "'two': an unexpected word" inspect one two

# ---- Values -----------------------------------------------------------------------------

refuse "batch 0" 2 "--batch: 0 is too small; at least 1" "${pool[@]}" --batch 0
refuse "batch of letters" 2 "--batch: 'many' is not a whole number" "${pool[@]}" --batch many
refuse "batch beyond 64 bits" 2 "is not a whole number" \
    "${pool[@]}" --batch 99999999999999999999
refuse "batch larger than the pool" 1 \
    "--batch 601: the pool has 596 candidates (600 samples, 4 labelled, 0 excluded)" \
    "${pool[@]}" --batch 601
refuse "batch larger than the candidates" 1 "--batch 597: the pool has 596 candidates" \
    "${pool[@]}" --strategy random --batch 597
refuse "lambda NaN" 2 "--lambda: 'nan' is not a number" "${pool[@]}" --lambda nan
refuse "lambda 0" 2 "--lambda: 0 is too small" "${pool[@]}" --lambda 0
refuse "oversample below 1" 2 "--oversample: 0.5 is too small" "${pool[@]}" --oversample 0.5
refuse "negative seed" 2 "--seed: -1 is too small" "${pool[@]}" --seed -1
refuse "malformed time" 2 "--max-time: '1:2:3:4' is not a time" "${pool[@]}" --max-time 1:2:3:4
refuse "unknown strategy" 2 "unknown strategy 'zzz'; there are random, entropy, margin, confidence" \
    "${pool[@]}" --strategy zzz
refuse "unknown strategy near one" 2 "unknown strategy 'bayt'; did you mean 'bait'? (random, " \
    "${pool[@]}" --strategy bayt
refuse "malformed grid" 2 "--grid: '2by2' is neither auto nor ROWSxCOLS" "${pool[@]}" --grid 2by2
refuse "grid of no rows" 2 "--grid: '0x1' is neither auto nor ROWSxCOLS" "${pool[@]}" --grid 0x1
refuse "grid larger than the job" 1 "--grid 3x3 needs 9 ranks; there are" "${pool[@]}" --grid 3x3

# ---- Options that another one makes void ------------------------------------------------

for option in "lambda 2" "oversample 3" "labelled-fisher sum" "grid 1x1" "select top" "topc 2"; do
    read -r name value <<<"$option"
    refuse "--$name with random" 2 "--$name: the strategy 'random' does not use it" \
        "${pool[@]}" --strategy random "--$name" "$value"
done
refuse "--lambda with entropy" 2 "--lambda: the strategy 'entropy' does not use it" \
    "${pool[@]}" --strategy entropy --lambda 2
refuse "--topc with bait" 2 "--topc: the strategy 'bait' does not use it" \
    "${pool[@]}" --strategy bait --topc 2
refuse "--topc beyond the classes" 1 "--topc 4: there are 3 classes" \
    "${pool[@]}" --strategy bait-topc --topc 4
refuse "--oversample without a search" 2 "--oversample: --select top adds nothing" \
    "${pool[@]}" --strategy bait --select top --oversample 3
refuse "--momentum with adam" 2 "--momentum: the optimizer 'adam' has its own" \
    run --data none.h5 --run out --optimizer adam --momentum 0.5
refuse "--nesterov with adam" 2 "--nesterov: the optimizer 'adam' has a momentum of its own" \
    run --data none.h5 --run out --nesterov
refuse "--nesterov without momentum" 2 "--nesterov: there is none with --momentum 0" \
    run --data none.h5 --run out --optimizer sgd --momentum 0 --nesterov
for name in step-epochs step-factor; do
    refuse "--$name without steps" 2 "--$name: only --schedule step uses it" \
        run --data none.h5 --run out --schedule cosine "--$name" 1
done
refuse "--patience without --validation" 2 "--patience: it watches the samples that --validation" \
    run --data none.h5 --run out --patience 3
refuse "--validation that leaves too few" 2 "--validation: 0.95 is too large" \
    run --data none.h5 --run out --validation 0.95
refuse "an unknown schedule" 2 "--schedule: unknown schedule 'cosin'; did you mean 'cosine'?" \
    run --data none.h5 --run out --schedule cosin
refuse "--hidden without a hidden layer" 2 "--hidden: the model 'logreg' has no hidden layer" \
    run --data none.h5 --run out --model logreg --hidden 5

# ---- The second line says where to read on ----------------------------------------------

on_ranks=4
everywhere fresh "${pool[@]}" --batch 0
same "help is pointed to, once" "$(grep -c '^fmal: see fmal help select$' "$work/np4/err")" 1
everywhere fresh
same "no command: the overview, once" "$(grep -c '^Usage: fmal COMMAND' "$work/np4/err")" 1
same "no command: exit code" "$(cat "$work/np4/rc")" 2

# ---- And what is allowed ----------------------------------------------------------------

on_ranks="1 4"
accept "abbreviations" select --qui --poo "$dir/pool.h5" --strat entropy --bat 3 --
same "abbreviated batch" "$(column "$work/np1/files/picks.csv" order)" "0 1 2"
accept "letters" select -q -p "$dir/pool.h5" -s entropy -b3 -o letters.h5
same "letters pick the same" "$(cat "$work/np1/files/letters.csv")" \
    "$(cat "$work/np4/files/letters.csv")"
same "letters: batch" "$(column "$work/np1/files/letters.csv" order)" "0 1 2"
mv "$dir/pool.h5" "$dir/-pool.h5"
accept "-- before a word" inspect -- "$dir/-pool.h5"
finish
