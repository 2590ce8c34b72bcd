#!/usr/bin/env bash
# Every benchmark runs at tiny sizes and stands beside a limit; a made-up pool does not depend
# on the number of ranks; and the model and the tables of tools/ can be made of the results.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

on_ranks="1 3"
limit=240 # the limits of the machine take as long as they take
tiny=(--quiet --samples 600 --features 7 --classes 4 --repeats 1)

# ---- Cases ------------------------------------------------------------------------------

# rows NAME: lines of that case on one rank and on three
rows() {
    echo "$(grep -c "^$1 " "$work/np1/out") $(grep -c "^$1 " "$work/np3/out")"
}

# with_limit NAME: those with a percentage
with_limit() {
    echo "$(grep -c "^$1 .* % of " "$work/np1/out") $(grep -c "^$1 .* % of " "$work/np3/out")"
}

accept "all cases" bench "${tiny[@]}" --batch 3 --model lenet --images 70
for case in "gemm 2" "syrk 1" "triad 1" "cholesky 1" "fisher 4" "initial 4" "step 4" \
    "update 8" "read 2" "train 1" "infer 1" "squares 1" "jacobian 1"; do
    read -r name count <<<"$case"
    same "$name: rows" "$(rows "$name")" "$count $count"
    same "$name: each with a limit" "$(with_limit "$name")" "$count $count"
done
same "allreduce: rows" "$(rows allreduce)" "9 9"
same "allreduce: limits where there is someone to talk to" "$(with_limit allreduce)" "0 9"
same "select: rows" "$(rows select)" "24 24"
same "select: the whole has a limit" "$(grep -c '^select .* whole selection .* % of ' "$work/np3/out")" 4
for case in train infer squares jacobian; do
    same "$case: images a second" "$(grep -c "^$case .* % of .* SGEMM; [0-9.]* images/s" "$work/np3/out")" 1
done
same "read leaves no file" "$(find "$work/np1/files" "$work/np3/files" -type f)" ""

accept "one case, one factor" bench step --factor binary "${tiny[@]}"
same "is one row" "$(rows step) $(wc -l <"$work/np1/out")" "1 1 2"
accept "JSON" bench step --json "${tiny[@]}"
cp "$work/np1/out" "$dir/one.json"
cp "$work/np3/out" "$dir/three.json"
for file in one three; do
    check "$file: as many rows as factors" test "$(grep -c '"share"' "$dir/$file.json")" = 4
    if command -v python3 >/dev/null; then
        check "$file: is JSON" python3 -m json.tool "$dir/$file.json"
    fi
done

accept "another network" bench infer "${tiny[@]}" --model mlp --images 5 --json
same "is named" "$(grep -c '"sizes": "mlp, 5 images, c 4"' "$work/np3/out")" 1
check "and its images are counted" grep -q '"images": [0-9]' "$work/np1/out"
accept "fewer images than a micro-batch, on fewer ranks" bench train "${tiny[@]}" --model lenet --images 2

# ---- Usage ------------------------------------------------------------------------------

refuse "unknown case" 2 "no case is called 'stepp'; did you mean 'step'?" bench stepp
refuse "case that is like none" 2 "no case is called 'zzz'; fmal help bench lists them" bench zzz
refuse "unknown factor" 2 "unknown factor 'binari'; did you mean 'binary'?" \
    bench step --factor binari
refuse "output of a case" 2 "--output: only generate writes a file" bench gemm -o x.h5
refuse "a pool for a case that reads none" 2 "--pool: 'step' does not use it, only read; leave it out" \
    bench step --pool mine.h5
refuse "a batch of a case that picks none" 2 "--batch: 'update' does not use it, only select" \
    bench update --batch 3
refuse "a network to generate" 2 "--model: 'generate' does not use it, only train, infer" \
    bench generate --model lenet -o x.h5
refuse "generate without output" 2 "--output FILE is missing" bench generate "${tiny[@]}"
refuse "generate into nowhere" 1 "none/x.h5: the directory none does not exist" \
    bench generate "${tiny[@]}" -o none/x.h5
refuse "unknown network" 2 "unknown model 'lenett'; did you mean 'lenet'?" bench train --model lenett
refuse "a network without a Jacobian" 2 "'logreg' is a head and nothing else" \
    bench jacobian --model logreg
refuse "a case that does not fit" 1 "have too many elements a rank" \
    bench initial --quiet --factor full --samples 600 --features 1000 --classes 1000
settle

# ---- A pool file ------------------------------------------------------------------------

# Several chunks a rank: 16 MiB of rows of 4 (1000 + 3) bytes are 4181 samples.
accept "generate" bench generate --quiet --samples 14001 --features 1000 --classes 3 -o pool.h5
check "the same bytes on one rank and on three" \
    cmp "$work/np1/files/pool.h5" "$work/np3/files/pool.h5"
mv "$work/np1/files/pool.h5" "$dir/made.h5"
same "is a pool" "$("$FMAL" inspect "$dir/made.h5" | tr -s ' ' | sed -n 2,7p | tr '\n' ' ')" \
    "kind pool samples 14001 features 1000 classes 3 outputs logits labelled 1000 "
everywhere start bench generate "${tiny[@]}" -o pool.h5
same "an output that exists stays" "$(cat "$work/np3/rc")" 1
accept "is picked from" select --quiet --pool "$dir/made.h5" --strategy entropy --batch 3
accept "is read" bench read --quiet --repeats 1 --pool "$dir/made.h5"
same "with its own sizes" "$(grep -c 'n 14001, d 1000, c 3' "$work/np3/out")" 2
rm -f "$dir/made.h5"
finish
