#!/usr/bin/env bash
# fmal select a second time: picks that are there are not made again, and those of another
# selection not replaced.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

# sums RANKS: of the files there
sums() { (cd "$work/np$1/files" && md5sum -- *); }

# keep: from now on the files are to stay as they are
keep() {
    local np
    for np in $on_ranks; do
        sums "$np" >"$dir/sums$np"
    done
}

# kept NAME: they have
kept() {
    local np
    for np in $on_ranks; do
        same "$1, np $np: the files are as they were" "$(sums "$np")" "$(cat "$dir/sums$np")"
    done
}

# again NAME OPTION...: a start that finds its picks
again() {
    everywhere start "${pool[@]}" "${@:2}"
    expect_success "$1"
    kept "$1"
}

# not_again NAME FILE OPTION...: a start that finds other picks, or another CSV
not_again() {
    everywhere start "${pool[@]}" "${@:3}"
    expect_refusal "$1" 1 "$2: exists; --force replaces it, or give another name"
    kept "$1"
}

make_pool names.h5 --n 600 --add ids --add labels
pool=(select --quiet --pool "$dir/names.h5" --batch 5)
accept "picks with names" "${pool[@]}"
keep
for np in $on_ranks; do
    cp "$work/np$np/out" "$dir/out$np"
done
again "the same command"
for np in $on_ranks; do
    check "np $np: prints the same" cmp "$dir/out$np" "$work/np$np/out"
done
again "options that make no difference" --checkpoint-every 7 --checkpoint-steps 3 --json
check "names in JSON" grep -q '"id"' "$work/np4/out"
again "defaults spelt out" --seed 1 --oversample 2.0 --strategy bait
everywhere start select --pool "$dir/names.h5" --batch 5
expect_success "the same command, in words"
for np in $on_ranks; do
    check "np $np: says so" grep -q ' done these picks were made before' "$work/np$np/err"
done

# ---- The CSV ----------------------------------------------------------------------------

rm "$work"/np?/files/picks.csv
again "the CSV is missing"
everywhere start "${pool[@]}" --csv other.csv
expect_success "another name for the CSV"
check "it is the same" cmp "$work"/np4/files/{picks,other}.csv
rm "$work"/np?/files/other.csv

# ---- Others -----------------------------------------------------------------------------

not_again "another batch" picks.h5 --batch 6
not_again "another seed" picks.h5 --seed 2
not_again "another strategy" picks.h5 --strategy entropy
cp "$dir/names.h5" "$dir/copy.h5"
pool[3]=$dir/copy.h5 # the word after --pool
again "another file with the same pool"
make_pool copy.h5 --n 600 --seed 9
not_again "the file with another pool" picks.h5
pool[3]=$dir/names.h5
for np in $on_ranks; do
    echo "one more line" >>"$work/np$np/files/picks.csv"
done
keep
not_again "another CSV" picks.csv
for np in $on_ranks; do
    echo "no HDF5" >"$work/np$np/files/picks.h5"
done
keep
not_again "no picks" picks.h5

pool+=(--strategy random --seed 5)
accept "picks without a search" "${pool[@]}"
keep
again "the same without a search"
finish
