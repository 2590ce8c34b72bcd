#!/usr/bin/env bash
# Weights into runs and out of them.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
need h5dump h5diff h5copy

"$FMAL_BUILD/tests/restart_make_data" set "$dir/data.h5" 1 300 100 || exit 1
run=(run --data "$dir/data.h5" --initial 20 --batch 5 --hidden 8 --strategy random --quiet
    --train-batch 8 --micro-batch 4)
# Steps that change nothing: what comes out is what went in.
still=(--rounds 1 --epochs 1 --optimizer sgd --momentum 0 --learning-rate 1e-12)

# weights_of FILE: all of them in the order of names
weights_of() {
    local name
    for name in head.weight hidden.bias hidden.weight; do
        h5_values "$1" "/weights/$name"
    done
}

# ---- Out --------------------------------------------------------------------------------

accept "saved as safetensors" "${run[@]}" --run out --rounds 2 --epochs 5 --save-weights w.safetensors
check "the same on 4 ranks" cmp "$work"/np[14]/files/w.safetensors
cp "$work/np1/files/w.safetensors" "$dir/"
everywhere start "${run[@]}" --run out --rounds 2 --epochs 5 --save-weights w.h5
expect_success "saved as HDF5, of the finished run"
check "the same on 4 ranks" h5diff "$work"/np[14]/files/w.h5 /weights
cp "$work/np1/files/w.h5" "$dir/"
# The checkpoint has them as one list: hidden.weight, hidden.bias, head.weight.
same "they are those of the checkpoint" \
    "$(h5_values "$dir/w.h5" /weights/hidden.weight) $(h5_values "$dir/w.h5" /weights/hidden.bias) $(h5_values "$dir/w.h5" /weights/head.weight)" \
    "$(h5_values "$work/np1/files/out/checkpoint.h5" /model/parameters)"
for file in w.h5 w.safetensors; do
    same "inspect $file" "$("$FMAL" inspect "$dir/$file" | sed -nE 's/^(kind|tensors|elements) +//p' | xargs)" \
        "weights 3 544"
done

# ---- In ---------------------------------------------------------------------------------

for file in w.h5 w.safetensors; do
    accept "from $file" "${run[@]}" --run out "${still[@]}" --weights "$dir/$file" --save-weights back.h5
    for np in $on_ranks; do
        check "from $file, np $np: every round starts from them" \
            h5diff -d 1e-6 "$dir/w.h5" "$work/np$np/files/back.h5" /weights
    done
done
accept "fresh weights" "${run[@]}" --run out "${still[@]}" --save-weights fresh.h5
cp "$work/np1/files/fresh.h5" "$dir/"
same "are others" "$([ "$(weights_of "$dir/fresh.h5")" = "$(weights_of "$dir/w.h5")" ] || echo others)" others
for name in hidden.weight hidden.bias; do
    h5copy -p -i "$dir/w.h5" -o "$dir/headless.h5" -s "/weights/$name" -d "/weights/$name"
done
accept "without the last layer" "${run[@]}" --run out "${still[@]}" --weights "$dir/headless.h5" \
    --save-weights back.h5
check "hidden layers are the file's" h5diff -d 1e-6 "$dir/w.h5" "$work/np1/files/back.h5" /weights/hidden.weight
check "the last one is that of a fresh start" h5diff -d 1e-6 "$dir/fresh.h5" "$work/np1/files/back.h5" \
    /weights/head.weight

# ---- The same run -----------------------------------------------------------------------

cp "$dir/w.safetensors" "$dir/pre.safetensors"
accept "a run" "${run[@]}" --run out "${still[@]}" --weights "$dir/pre.safetensors"
everywhere start "${run[@]}" --run out "${still[@]}" --weights "$dir/pre.safetensors"
expect_success "the same command again"
plan_first=yes # of a run that is then refused
everywhere start "${run[@]}" --run out "${still[@]}"
expect_refusal "without its weights" 1 "weights was $dir/pre.safetensors, now (not set);"
printf '\x3f' | dd of="$dir/pre.safetensors" bs=1 seek=$(($(stat -c %s "$dir/pre.safetensors") - 1)) \
    conv=notrunc 2>/dev/null
everywhere start "${run[@]}" --run out "${still[@]}" --weights "$dir/pre.safetensors"
expect_refusal "with other weights of that name" 1 "belongs to other data: the checksum was"
plan_first=

# ---- What cannot be ---------------------------------------------------------------------

refuse "no file" 1 "none.h5: cannot read: No such file" "${run[@]}" --run out --weights none.h5
refuse "another width" 1 "hidden.weight: [8, 64]; wanted [9, 64]" "${run[@]}" --run out \
    --hidden 9 --weights "$dir/w.h5"
refuse "another network" 1 "2 unexpected: hidden.weight, hidden.bias" \
    run --data "$dir/data.h5" --run out --model logreg --quiet --weights "$dir/w.safetensors"
refuse "a data set" 1 "data.h5: has no group /weights" "${run[@]}" --run out --weights "$dir/data.h5"
head -c 1000 "$dir/w.safetensors" >"$dir/cut.safetensors"
refuse "cut off" 1 "no place in the file; the file is damaged" "${run[@]}" --run out \
    --weights "$dir/cut.safetensors"
refuse "an unknown format" 2 "w.pt: its name does not say in which format" "${run[@]}" --run out \
    --save-weights w.pt
refuse "over the data" 2 "data.h5: is read; give another name to --save-weights" "${run[@]}" --run out \
    --save-weights "$dir/data.h5"
refuse "over the first weights" 2 "w.h5: is read" "${run[@]}" --run out --weights "$dir/w.h5" \
    --save-weights "$dir/w.h5"
echo notes >"$dir/notes.h5"
refuse "over something else" 1 "notes.h5: exists and holds no weights" "${run[@]}" --run out \
    --save-weights "$dir/notes.h5"
refuse "no folder to save in" 1 "none/w.h5: the directory none does not exist" "${run[@]}" --run out \
    --save-weights none/w.h5
finish
