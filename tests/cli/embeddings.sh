#!/usr/bin/env bash
# Factors given as numbers are picked from as the features and logits that they are of.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
need h5dump

# picks_of FILE OPTION...: indices, the same on both rank counts, and objectives
picks_of() {
    local file=$1
    shift
    accept "$file $*" select --quiet --pool "$dir/$file" --batch 8 "$@"
    picks=$(column "$work/np1/files/picks.csv" index)
    objective=$(h5_attribute "$work/np1/files/picks.h5" /objective_after)
    same "$file $*: the same on 4 ranks" "$(column "$work/np4/files/picks.csv" index)" "$picks"
}

sizes=(--n 600 --d 11 --c 4 --labelled 7)
make_pool features.h5 "${sizes[@]}"
make_pool factors.h5 "${sizes[@]}" --last-layer --add embeddings
for options in "--precision mixed" "--precision double" "--lambda 0.01" "--select top"; do
    # shellcheck disable=SC2086 # a list of words
    picks_of features.h5 $options
    want=$picks wanted=$objective
    # shellcheck disable=SC2086
    picks_of factors.h5 $options
    same "$options: the same picks" "$picks" "$want"
    check "$options: objective $objective, wanted $wanted" awk -v a="$objective" \
        -v b="$wanted" 'BEGIN { d = a - b; exit !(b > 0 && (d < 0 ? -d : d) <= 1e-6 * b) }'
done
finish
