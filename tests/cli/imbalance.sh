#!/usr/bin/env bash
# Runs on imbalanced pools: which samples there are, how tables count them, what is refused.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
need h5dump

"$FMAL_BUILD/tests/restart_make_data" set "$dir/data.h5" 1 700 200 || exit 1
run=(run --data "$dir/data.h5" --run out --initial 8 --batch 5 --rounds 2 --hidden 8
    --lambda 0.001 --epochs 5 --train-batch 8 --micro-batch 4 --quiet)
names=("upper left" "upper right" lower)
read -ra labels <<<"$(h5_values "$dir/data.h5" /train/labels)"

# how_many DATASET: samples of class 0, 1 and 2
how_many() {
    h5_values "$dir/data.h5" "$1" | tr ' ' '\n' | sort -n | uniq -c | awk '{ print $1 }' | xargs
}
read -ra train <<<"$(how_many /train/labels)"
read -ra test <<<"$(how_many /test/labels)"

# of_round FILE ROUND COLUMN: of a classes.csv, on one line
of_round() {
    awk -F, -v round="$2" -v name="$3" '
        NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) at = i; next }
        $1 == round { printf "%s%s", sep, $at; sep = "," }' "$1"
}

# picks_are NAME CLASS...: class k of the picks is class CLASS[k] of the file, by place
picks_are() {
    local name=$1 good=yes n=0 index label class
    shift
    local classes=("$@")
    while IFS=, read -r _ _ index label class; do
        [ "${labels[index]}" = "${classes[label]}" ] || good="sample $index is a $label"
        [ "$class" = "${names[classes[label]]}" ] || good="class $label is '$class'"
        n=$((n + 1))
    done < <(tail -n +2 "$work/np1/files/out/picks.csv")
    same "$name: $n picks are of the file" "$good" yes
    same "$name: so many picks, each once" "$(column "$work/np1/files/out/picks.csv" index |
        tr ' ' '\n' | sort -nu | wc -l)" 18
}

same_tables() {
    local file
    for file in metrics.csv classes.csv picks.csv; do
        check "$1: $file is the same on 4 ranks" cmp "$work"/np[14]/files/out/$file
    done
}

# ---- Counts -----------------------------------------------------------------------------

counts=(--pool-counts "2:60,0:9")
accept "counts" "${run[@]}" "${counts[@]}"
same_tables "counts"
picks_are "counts" 0 2
out=$work/np1/files/out
same "counts: the pool" "$(of_round "$out/classes.csv" 2 pool)" 9,60
same "counts: all of the test split" "$(of_round "$out/classes.csv" 0 test)" \
    "${test[0]},${test[2]}"
same "counts: classes" "$(of_round "$out/classes.csv" 1 class)" "upper left,lower"
same "counts: test samples" \
    "$("$FMAL" run --data "$dir/data.h5" --run x --initial 8 "${counts[@]}" --rounds 1 --batch 5 \
        --quiet --dry-run | sed -n 's/.*\(samples=[0-9]* test=[0-9]*\).*classes=\([0-9]*\).*/\1 \2/p')" \
    "samples=69 test=$((test[0] + test[2])) 2"
# Hits over classes are the accuracy of the round.
check "counts: accuracy by class adds up" awk -F, '
    NR == FNR && FNR > 1 { right[$1] += $7 * $8; all[$1] += $7 }
    NR > FNR && FNR > 1 { d = right[$1] / all[$1] - $6; if (d * d > 1e-10) exit 1; n++ }
    END { exit n != 3 }' "$out/classes.csv" "$out/metrics.csv"
check "counts: picks by class add up" awk -F, '
    NR == FNR && FNR > 1 { n[$1 "," $2] = $5 }
    NR > FNR && FNR > 1 && (n[$1 ",0"] != $10 || n[$1 ",1"] != $11) { exit 1 }' \
    "$out/classes.csv" "$out/metrics.csv"
# The checkpoint counts samples from the first of the pool, and says where these are.
read -ra pool <<<"$(h5_values "$out/checkpoint.h5" /pool/index)"
same "counts: the checkpoint has the pool" "${#pool[@]}" 69
same "counts: and its picks" "$(for i in $(h5_values "$out/checkpoint.h5" /picks/index); do
    echo "${pool[i]}"
done | xargs)" "$(column "$out/picks.csv" index)"
same "counts: events name samples of the file" \
    "$(sed -n 's/.*"event":"pick".*"index":\[\([0-9,]*\)\].*/\1/p' "$out/events.jsonl" | paste -sd,)" \
    "$(awk -F, '$1 > 0 && NR > 1 { print $3 }' "$out/picks.csv" | paste -sd,)"

# What a search added and did not remove again is the batch, by the same names.
named() { sed -n "s/.*\"event\":\"pick\".*\"$1\":\[\([0-9,]*\)\].*/\1/p" "$out/events.jsonl" | head -1 | tr , '\n'; }
same "counts: added samples are named alike" "$(named added | grep -vxF "$(named removed)" | xargs)" \
    "$(named index | xargs)"

# Going on is for the same pool alone.
on_ranks=1
everywhere start "${run[@]}" "${counts[@]}"
expect_success "counts: the same command again"
everywhere start "${run[@]}" --pool-counts "2:60,0:8"
expect_refusal "other counts" 1 "pool-counts was 2:60,0:9, now 2:60,0:8;"
everywhere start "${run[@]}"
expect_refusal "no counts" 1 "pool-counts was 2:60,0:9, now (not set);"
everywhere start "${run[@]}" --long-tail 0.5
expect_refusal "a tail" 1 "pool-counts was 2:60,0:9, now (not set);"
on_ranks="1 4"

# ---- A long tail ------------------------------------------------------------------------

accept "tail" "${run[@]}" --long-tail 0.25
same_tables "tail"
picks_are "tail" 0 1 2
most=$(printf '%s\n' "${train[@]}" | sort -n | tail -1)
min() { echo $(($1 < $2 ? $1 : $2)); }
same "tail: the pool" "$(of_round "$work/np1/files/out/classes.csv" 0 pool)" \
    "$(min "$most" "${train[0]}"),$(min $((most / 2)) "${train[1]}"),$(min $((most / 4)) "${train[2]}")"
same "tail: the test split is left alone" "$(of_round "$work/np1/files/out/classes.csv" 0 test)" \
    "${test[0]},${test[1]},${test[2]}"
accept "no tail" "${run[@]}" --long-tail 1
same "no tail: all samples" "$(of_round "$work/np1/files/out/classes.csv" 0 pool)" \
    "${train[0]},${train[1]},${train[2]}"

# ---- What cannot be ---------------------------------------------------------------------

refuse "unknown class" 2 "--pool-counts: there is no class 3: $dir/data.h5 has classes 0 to 2" \
    "${run[@]}" --pool-counts 0:9,3:9
refuse "class twice" 2 "--pool-counts: class 0 is named twice" "${run[@]}" --pool-counts 0:9,1:9,0:9
refuse "more than there are" 2 "has ${train[1]} of it ('upper right') for training" \
    "${run[@]}" --pool-counts 0:9,1:699
refuse "none" 2 "class 0 cannot keep 0 samples" "${run[@]}" --pool-counts 0:0,1:9
refuse "one class" 2 "only one class stays" "${run[@]}" --pool-counts 0:9
for text in "0" "0:" ":9" "0:9," ",0:9" "0:9,,1:9" "0:-9,1:9" "a:9,1:9" "0:9.5,1:9" "0:9;1:9" \
    " 0:9,1:9" "0: 9,1:9" "99999999999:1,1:9" "0:99999999999999999999,1:9"; do
    refuse "counts '$text'" 2 "is no CLASS:N, as in 0:250,1:5000" "${run[@]}" --pool-counts "$text"
done
refuse "endless counts" 2 "--pool-counts: is longer than 4000 bytes" \
    "${run[@]}" --pool-counts "$(printf '0:1,%.0s' {1..1100})0:1"
refuse "both" 2 "--pool-counts and --long-tail: both say" "${run[@]}" "${counts[@]}" --long-tail 0.5
refuse "tail of zero" 2 "--long-tail: 0 is too small" "${run[@]}" --long-tail 0
refuse "tail above one" 2 "--long-tail: 1.5 is too large" "${run[@]}" --long-tail 1.5
refuse "a class that dies out" 2 "--long-tail: class 1 ('upper right') of $dir/data.h5 keeps no" \
    "${run[@]}" --long-tail 1e-8
refuse "fewer than rounds want" 1 "are 18 labels; $dir/data.h5 has 17 training samples" \
    "${run[@]}" --pool-counts 0:9,1:8
finish
