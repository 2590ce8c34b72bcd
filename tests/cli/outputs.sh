#!/usr/bin/env bash
# Outputs that cannot be, must not be, or already are: refused before any work.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

make_pool pool.h5 --n 600
pool=(select --quiet --pool "$dir/pool.h5" --batch 5)
mkdir "$dir/folder"

refuse "directory" 1 "folder: is a directory; give a file name" "${pool[@]}" -o "$dir/folder"
refuse "in a missing directory" 1 "none/picks.h5: the directory none does not exist" \
    "${pool[@]}" -o none/picks.h5
refuse "in a file" 1 "pool.h5/picks.h5: the directory $dir/pool.h5 does not exist" \
    "${pool[@]}" -o "$dir/pool.h5/picks.h5"
refuse "CSV in a missing directory" 1 "none/picks.csv: the directory none does not exist" \
    "${pool[@]}" --csv none/picks.csv
refuse "device" 1 "/dev/null: is no plain file; give another name" \
    "${pool[@]}" --force -o /dev/null --csv picks.csv
refuse "device as CSV" 1 "/dev/full: is no plain file" "${pool[@]}" --force --csv /dev/full
refuse "picks and CSV by one name" 2 "picks.csv: is the name of the picks and of their CSV" \
    "${pool[@]}" -o picks.csv
refuse "picks and CSV by two names of one file" 2 "./x.h5: is the name of the picks and" \
    "${pool[@]}" -o x.h5 --csv ./x.h5
refuse "import in a missing directory" 1 "the directory none does not exist" \
    import --format idx --images images --labels labels -o none/data.h5
settle

sum=$(md5sum <"$dir/pool.h5")
refuse "the pool as output" 2 "pool.h5: is the pool; give another name to --output" \
    "${pool[@]}" --force -o "$dir/folder/../pool.h5"
settle
refuse "the pool as CSV" 2 "pool.h5: is the pool; give another name to --csv" \
    "${pool[@]}" --force --csv "$dir/pool.h5"
settle
same "the pool is as it was" "$(md5sum <"$dir/pool.h5")" "$sum"

idx_images 6 >"$dir/images"
idx_labels 6 >"$dir/labels"
sum=$(cat "$dir/images" "$dir/labels" | md5sum)
for file in images labels; do
    refuse "imported $file as output" 2 "$file: is read; give another name to --output" \
        import --format idx --images "$dir/images" --labels "$dir/labels" --force -o "$dir/$file"
done
settle
same "what is imported is as it was" "$(cat "$dir/images" "$dir/labels" | md5sum)" "$sum"

# ---- A folder without the right to write ------------------------------------------------

# Root may write everywhere, so it becomes nobody.
nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
if [ "$(id -u)" -ne 0 ]; then
    nobody=()
elif ! "${nobody[@]}" test -x "$FMAL" 2>/dev/null; then
    nobody=(false)
fi
chmod 755 "$dir"
if "${nobody[@]}" true 2>/dev/null; then
    mkdir -m 555 "$dir/locked"
    chmod 644 "$dir/pool.h5"
    wrap=("${nobody[@]}" env HOME="$dir/tmp")
    at_once=1
    umask 000
    refuse "in a folder without the right" 1 "locked/picks.h5: cannot write in $dir/locked: Perm" \
        "${pool[@]}" -o "$dir/locked/picks.h5"
    cp "$dir/pool.h5" "$dir/secret.h5"
    chmod 0 "$dir/secret.h5"
    settle
    if [ "$(id -u)" -ne 0 ] && [ -r "$dir/secret.h5" ]; then
        echo "# unreadable pool: everything is readable here"
    else
        refuse "unreadable pool" 1 "secret.h5: cannot read: Permission denied" \
            select --quiet --pool "$dir/secret.h5" --batch 5
    fi
    settle
    accept "the same user with the right" "${pool[@]}"
    wrap=()
    umask 022
else
    echo "# without the right to write or read: nobody cannot run $FMAL"
fi

# ---- Another selection ------------------------------------------------------------------

if command -v flock >/dev/null; then
    mkdir "$dir/taken"
    echo "process 17 on elsewhere" >"$dir/taken/picks.h5.lock"
    exec 9<>"$dir/taken/picks.h5.lock"
    flock -x 9
    refuse "another selection is under way" 1 \
        "taken/picks.h5: a selection is under way for it (process 17 on elsewhere); wait for it" \
        "${pool[@]}" -o "$dir/taken/picks.h5"
    settle
    same "it is left alone" "$(ls "$dir/taken")" picks.h5.lock
    exec 9<&-
    on_ranks=4
    accept "when that has ended" "${pool[@]}" -o "$dir/taken/picks.h5"
    on_ranks="1 4"
    same "no lock stays" "$(echo "$dir"/taken/*)" "$dir/taken/picks.csv $dir/taken/picks.h5"
fi

# ---- What exists ------------------------------------------------------------------------

accept "first time" "${pool[@]}"
before=$(md5sum <"$work/np1/files/picks.h5")
everywhere start "${pool[@]}" --batch 6
expect_refusal "second time" 1 \
    "picks.h5: exists; --force replaces it, or give another name"
same "the old picks are as they were" "$(md5sum <"$work/np1/files/picks.h5")" "$before"
rm "$work"/np?/files/picks.h5
everywhere start "${pool[@]}" --batch 6
expect_refusal "the CSV alone exists" 1 "picks.csv: exists; --force replaces it"
same "old CSV" "$(column "$work/np4/files/picks.csv" order)" "0 1 2 3 4"
everywhere start "${pool[@]}" --batch 6 --force
expect_success "--force"
same "new CSV" "$(column "$work/np4/files/picks.csv" order)" "0 1 2 3 4 5"
check "new picks" test -s "$work/np4/files/picks.h5"

import=(import --quiet --format idx --images "$dir/images" --labels "$dir/labels" -o data.h5)
accept "import" "${import[@]}"
everywhere start "${import[@]}"
expect_refusal "import again" 1 "data.h5: exists; --force replaces it"
everywhere start "${import[@]}" --force
expect_success "import --force"
finish
