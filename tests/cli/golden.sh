#!/usr/bin/env bash
# The program picks what two public implementations pick, on any number of ranks.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
need h5dump

golden=${FMAL_GOLDEN:-$FMAL_SOURCE/../shared/golden}
[ -d "$golden" ] || skip "no pools with known answers in $golden (set FMAL_GOLDEN)"

# compare POOL METHOD OPTION...: against /expected/METHOD
compare() {
    local pool=$golden/$1.h5 expected=/expected/$2 name="$1 $2" np picks want got
    shift 2
    accept "$name" select --quiet --pool "$pool" "$@" \
        --batch "$(h5_attribute "$pool" "$expected/k")" \
        --lambda "$(h5_attribute "$pool" "$expected/lambda")"
    picks=$(h5_values "$pool" "$expected/picks")
    want=$(h5_attribute "$pool" "$expected/objective")
    for np in $on_ranks; do
        same "$name, np $np: picks" "$(column "$work/np$np/files/picks.csv" index)" "$picks"
        got=$(h5_attribute "$work/np$np/files/picks.h5" /objective_after)
        check "$name, np $np: objective $got, wanted $want" close_to "$got" "$want" 1e-8
    done
}

for pool in iris wine fmnist_d16; do
    [ -r "$golden/$pool.h5" ] || skip "$golden/$pool.h5 is missing"
    on_ranks="1 2 3 4 7"
    compare "$pool" bait --strategy bait
    compare "$pool" bait-sum --strategy bait --labelled-fisher sum
    on_ranks="1 3"
    compare "$pool" bait-topc2 --strategy bait-topc --topc 2
    compare "$pool" bait-binary --strategy bait-binary
done
finish
