#!/usr/bin/env bash
# What picks hold, and that they come from what the pool says, in whatever form it says it.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
need h5dump

# picks_of NAME [CHANGE...]: indices, on both rank counts, of a pool made with changes
pools=0
picks_of() {
    local name=$1
    shift
    pools=$((pools + 1))
    make_pool "pool$pools.h5" --n 600 "$@"
    accept "$name" select --quiet --pool "$dir/pool$pools.h5" --batch 6
    picks=$(column "$work/np1/files/picks.csv" index)
    same "$name: the same on 4 ranks" "$(column "$work/np4/files/picks.csv" index)" "$picks"
    same "$name: the same in HDF5" "$(h5_values "$work/np4/files/picks.h5" /picks/index)" "$picks"
}

# ---- The file ---------------------------------------------------------------------------

picks_of "plain pool"
plain=$picks
file=$work/np4/files/picks.h5
same "six different picks" "$(tr ' ' '\n' <<<"$picks" | sort -nu | wc -l)" 6
same "its datasets" "$(h5dump -n "$file" | awk '$1 == "dataset" { print $2 }' | xargs)" \
    "/configuration/fixed /configuration/resolved /input/checksum /input/path /picks/index /picks/nearest /picks/score /predicted/count"
for dataset in /picks/index /picks/score /picks/nearest /predicted/count \
    /configuration/fixed /configuration/resolved /input/path /input/checksum; do
    check "$dataset is described" test -n "$(h5_attribute "$file" "$dataset/long_name")"
done
same "units of indices" "$(h5_attribute "$file" /picks/index/units)" "sample index"
same "units of counts" "$(h5_attribute "$file" /predicted/count/units)" samples
check "its dimension has a label" \
    grep -q '"pick"' <<<"$(h5dump -a /picks/index/DIMENSION_LABELS "$file")"
same "schema" "$(h5_attribute "$file" /schema)" fmal-picks-1
same "strategy" "$(h5_attribute "$file" /strategy)" bait
same "seed" "$(h5_attribute "$file" /seed)" 1
same "which candidates were scored" "$(h5_attribute "$file" /lazy)" off
same "samples of the pool" "$(h5_attribute "$file" /pool_samples)" 600
check "version" grep -qx 'fmal [0-9.]*' <<<"$(h5_attribute "$file" /version)"
check "command" grep -q "select --quiet --pool $dir/pool1.h5 --batch 6" \
    <<<"$(h5_attribute "$file" /history)"
before=$(h5_attribute "$file" /objective_before) after=$(h5_attribute "$file" /objective_after)
check "the objective falls" awk -v a="$after" -v b="$before" 'BEGIN { exit !(0 < a && a < b) }'
check "options as resolved" \
    grep -q 'lambda = 1' <<<"$(h5dump -d /configuration/resolved "$file")"
check "the pool's checksum" \
    grep -qE '"[0-9a-f]{32}"' <<<"$(h5dump -d /input/checksum "$file")"
same "scores have the digits of the CSV" \
    "$(h5_values "$file" /picks/score | tr ' ' '\n' | xargs printf '%.9g ')" \
    "$(column "$work/np4/files/picks.csv" score | tr ' ' '\n' | xargs printf '%.9g ')"
same "predicted classes add up" \
    "$(h5_values "$file" /predicted/count | awk '{ print $1 + $2 + $3 }')" 6
cp "$work/np1/files/picks.csv" "$dir/one.csv"
check "the CSV is the same on 4 ranks" cmp "$dir/one.csv" "$work/np4/files/picks.csv"

for lazy in exact 1.5; do
    accept "--lazy $lazy" select --quiet --pool "$dir/pool1.h5" --batch 6 --lazy "$lazy"
    same "--lazy $lazy: which candidates were scored" "$(h5_attribute "$file" /lazy)" "$lazy"
done
accept "--lazy auto of bait-binary" select --quiet --pool "$dir/pool1.h5" --batch 6 --strategy bait-binary
same "--lazy auto of bait-binary: which candidates were scored" "$(h5_attribute "$file" /lazy)" exact
accept "no search" select --quiet --pool "$dir/pool1.h5" --batch 6 --strategy entropy
check "no search: nothing is said of it" test -z "$(h5_attribute "$file" /lazy 2>/dev/null)"
refuse "a slack below 1" 2 "--lazy" select --pool "$dir/pool1.h5" --batch 6 --lazy 0.5

# ---- Identifiers ------------------------------------------------------------------------

first=${plain%% *}
picks_of "names" --add ids
same "names: picks" "$picks" "$plain"
same "names in the CSV" "$(column "$work/np4/files/picks.csv" id)" \
    "$(for i in $plain; do echo "sample-$((100000 + 7 * i))"; done | xargs)"
check "names in HDF5" grep -q "\"sample-$((100000 + 7 * first))\"" \
    <<<"$(h5dump -d /picks/id "$work/np4/files/picks.h5")"
picks_of "numbers" --add ids --type ids=i64
same "numbers in the CSV" "$(column "$work/np4/files/picks.csv" id)" \
    "$(for i in $plain; do echo "$((100000 + 7 * i))"; done | xargs)"
picks_of "a name that is no plain word" --add ids --text "ids:$first=a, \"b\""
check "it is quoted in the CSV" grep -qxF "0,$first,$(sed -n 2p "$dir/one.csv" |
    cut -d, -f3),\"a, \"\"b\"\"\"" "$work/np1/files/picks.csv"

# ---- Forms of the same pool -------------------------------------------------------------

picks_of "features as doubles, logits as doubles" --type features=f64 --type logits=f64
same "doubles: picks" "$picks" "$plain"
picks_of "probabilities" --add probs
same "probabilities: picks" "$picks" "$plain"
scaled=()
for i in 0 5 77 "$first" 599; do
    scaled+=(--scale "probs:$i=$((i % 5 + 2))")
done
picks_of "probabilities that do not sum to 1" --add probs "${scaled[@]}"
same "renormalised: picks" "$picks" "$plain"
picks_of "compressed" --compress
same "compressed: picks" "$picks" "$plain"
picks_of "labels are no part of it" --add labels --fill labels:3=-1 --fill labels:4=99
same "with labels: picks" "$picks" "$plain"
picks_of "features as integers" --type features=i32
cp "$work/np1/files/picks.csv" "$dir/integers.csv"
picks_of "features as long integers" --type features=i64 --type labelled=i32
check "integers of any size give the same" cmp "$dir/integers.csv" "$work/np1/files/picks.csv"

# ---- Who may be picked ------------------------------------------------------------------

read -r -a order <<<"$plain"
picks_of "exclude" --list "exclude=${order[0]},${order[3]}"
for i in "${order[0]}" "${order[3]}"; do
    check "excluded $i is not picked" grep -qvw "$i" <<<"$picks"
done
check "others are" test "$(wc -w <<<"$picks")" -eq 6
picks_of "labelled" --list "labelled=0,150,300,450,${order[0]}"
check "labelled ${order[0]} is not picked" grep -qvw "${order[0]}" <<<"$picks"
picks_of "nothing labelled" --rows labelled=0
picks_of "no list of labelled samples" --drop labelled
finish
