#!/usr/bin/env bash
# fmal mask: the same file on any number of ranks, what it holds, what is refused.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
need h5dump

idx_images 60 >images
idx_labels 60 >labels
work=$dir/made
on_ranks=1 everywhere fresh import --format idx --images "$dir/images" \
    --labels "$dir/labels" --output "$dir/data.h5"
on_ranks=1 everywhere start run --data "$dir/data.h5" --run "$dir/run" --hidden 7 --rounds 0 \
    --initial 20 --epochs 3 --save-weights "$dir/model.h5" --strategy random
[ -s "$dir/model.h5" ] || { cat "$work/np1/err" && exit 1; }
work=$dir
# 12 x 7 + 7 + 3 x 7 = 112 parameters, 21 of them the head's.
mask=(mask --data "$dir/data.h5" --model mlp --hidden 7 --weights "$dir/model.h5"
    --mask-fraction 0.25)
on_ranks="1 3"

# alike NAME: both rank counts wrote the same bytes
alike() { check "$1: the same file" cmp "$work/np1/files/mask.h5" "$work/np3/files/mask.h5"; }

# masked NAME COUNT: so many positions are in the file
masked() {
    same "$1: masked" "$(h5_values "$work/np1/files/mask.h5" /mask/index | wc -w)" "$2"
}

# ---- Methods, images ------------------------------------------------------------------------

accept "global" "${mask[@]}"
alike "global"
masked "global" 28
check "a table" grep -qE '^head.weight +21 +21 +100.00 %$' "$work/np1/out"
check "and a sum" grep -qE '^all +112 +28 +25.00 %$' "$work/np1/out"
same "all images" "$(h5_values "$work/np1/files/mask.h5" /samples/index | wc -w)" 60
global=$(h5_values "$work/np1/files/mask.h5" /mask/index)

accept "layerwise" "${mask[@]}" --mask-method layerwise
alike "layerwise"
masked "layerwise" 43 # 21 of 84, 1 of 7, and the head
accept "relative" "${mask[@]::9}" --mask-method relative
alike "relative"
accept "any" "${mask[@]}" --mask-method random
alike "any"
masked "any" 28
any=$(h5_values "$work/np1/files/mask.h5" /mask/index)
check "any: without images" grep -qF images=0 "$work/np1/err"
accept "other any" "${mask[@]}" --mask-method random --seed 5
check "any: another seed" test "$(h5_values "$work/np1/files/mask.h5" /mask/index)" != "$any"

accept "the first images" "${mask[@]}" --mask-images first --mask-samples 5
alike "the first images"
same "the first images" "$(h5_values "$work/np1/files/mask.h5" /samples/index)" "0 1 2 3 4"
accept "some images" "${mask[@]}" --mask-samples 5
alike "some images"
check "some images: others" \
    test "$(h5_values "$work/np1/files/mask.h5" /samples/index)" != "0 1 2 3 4"
accept "the head alone" "${mask[@]}" --mask-fraction 0.1875
masked "the head alone" 21

# ---- Again, and in other words --------------------------------------------------------------

accept "once" "${mask[@]}" -o "mask.h5"
everywhere start "${mask[@]}" -o "mask.h5"
expect_success "twice"
check "twice: says so" grep -q ' done this mask was made before' "$work/np3/err"
check "twice: the same table" grep -qE '^all +112 +28 +25.00 %$' "$work/np3/out"
everywhere start "${mask[@]}" --seed 9 -o "mask.h5"
expect_refusal "of another seed" 1 "mask.h5: exists; --force replaces it"
everywhere start "${mask[@]}" --seed 9 -o "mask.h5" --force
expect_success "by force"
everywhere start "${mask[@]}" --seed 9 -o "mask.h5" --json
expect_success "as JSON"
check "as JSON: counts" grep -q '"masked": 28' "$work/np3/out"

cp "$work/np1/files/mask.h5" "$dir/mask.h5"
on_ranks=1 accept "inspect" inspect "$dir/mask.h5"
check "inspect: a table" grep -qE '^hidden.weight +84 ' "$work/np1/out"
check "inspect: the network" grep -qE '^network +mlp$' "$work/np1/out"
check "inspect: outside" grep -qE '^outside of head +7$' "$work/np1/out"
on_ranks=1 accept "inspect as JSON" inspect --json "$dir/mask.h5"
check "inspect as JSON: tensors" grep -q '"name": "head.weight"' "$work/np1/out"
size=$(wc -c <"$dir/mask.h5")
cp "$dir/mask.h5" "$dir/bad.h5"
printf '\377' | dd of="$dir/bad.h5" bs=1 seek=$((size / 2)) conv=notrunc status=none
head -c $((size - 100)) "$dir/mask.h5" >"$dir/short.h5"
on_ranks=1
refuse "inspect a damaged one" 1 "bad.h5" inspect "$dir/bad.h5"
refuse "inspect a short one" 1 "short.h5" inspect "$dir/short.h5"
settle
on_ranks="1 3"

accept "a plan" "${mask[@]}" --dry-run
check "a plan: sizes" grep -q 'parameters=112 head=21 images=60' "$work/np3/out"
check "a plan: no mask" test ! -e "$work/np3/files/mask.h5"

# ---- An imbalanced pool -----------------------------------------------------------------------

# The mask is of the pool that is left, and a run on that pool takes it.
two=(--data "$dir/data.h5" --pool-counts 0:9,2:8 --seed 3)
on_ranks=1 everywhere start run "${two[@]}" --hidden 8 --initial 5 --rounds 0 --epochs 1 \
    --strategy random --run "$dir/two" --save-weights "$dir/two_model.h5"
mask_two=(mask "${two[@]}" --hidden 8 --weights "$dir/two_model.h5" --mask-fraction 0.3 -o two.h5)
accept "two classes" "${mask_two[@]}"
check "two classes: of the pool that is left" grep -q 'samples=17 classes=2' "$work/np1/err"
cp "$work/np1/files/two.h5" "$dir" || exit 1
accept "two classes: a run with the mask" run "${two[@]}" --hidden 8 --initial 5 --batch 4 --rounds 1 \
    --epochs 1 --strategy fishermask --mask "$dir/two.h5" --run masked
refuse "the whole pool" 1 "two_model.h5" mask --data "$dir/data.h5" --hidden 8 \
    --weights "$dir/two_model.h5"

# ---- Killed -----------------------------------------------------------------------------------

if [ "${FMAL_HAS_HOOKS:-0}" = 1 ]; then
    FMAL_KILL_AT=fisher-batch:1 everywhere fresh "${mask[@]}"
    for np in $on_ranks; do
        same "killed, np $np" "$(cat "$work/np$np/rc")" 137
        check "killed, np $np: leaves nothing" test -z "$(ls -A "$work/np$np/files")"
    done
    everywhere start "${mask[@]}"
    expect_success "after a kill"
    alike "after a kill"
    same "after a kill: the mask" "$(h5_values "$work/np1/files/mask.h5" /mask/index)" "$global"
fi

# ---- Refusals ---------------------------------------------------------------------------------

refuse "less than the head" 2 "give a fraction of 0.1875 or more" "${mask[@]}" --mask-fraction 0.1
refuse "images of a random mask" 2 "--mask-images: --mask-method random does not use it" \
    "${mask[@]}" --mask-method random --mask-images first
refuse "number of images of a random mask" 2 "--mask-samples: --mask-method random" \
    "${mask[@]}" --mask-method random --mask-samples 7
refuse "fraction of a relative mask" 2 "--mask-fraction: --mask-method relative" \
    "${mask[@]}" --mask-method relative
refuse "width of a model without" 2 "--hidden: the model 'logreg'" "${mask[@]}" --model logreg
refuse "weights of another network" 1 "model.h5" mask --data "$dir/data.h5" --model logreg \
    --weights "$dir/model.h5"
refuse "no weights" 1 "none.h5" mask --data "$dir/data.h5" --weights "$dir/none.h5"
refuse "an option without a value" 2 "--weights" mask --data "$dir/data.h5"
refuse "the data as output" 2 "data.h5: is read; give another name to --output" "${mask[@]}" \
    -o "$dir/data.h5" --force
refuse "the weights as output" 2 "model.h5: is read" "${mask[@]}" -o "$dir/model.h5" --force
refuse "a folder that is not there" 1 "/nowhere" "${mask[@]}" -o /nowhere/mask.h5
finish
