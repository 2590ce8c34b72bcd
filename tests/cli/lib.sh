# shellcheck shell=bash
# Sourced by the tests of the command line: a folder that goes away, checks that count, and
# starts of fmal that notice a hang and what is left behind.
#
#   . "$(dirname "$0")/lib.sh"
#   make_pool nan.h5 --set features:900=nan
#   refuse "NaN in features" 1 "sample 900" select --pool "$dir/nan.h5" --batch 5
#   accept "good pool" select --pool "$dir/good.h5" --batch 5
#   same "both rank counts" "$(cat "$work/np1/out")" "$(cat "$work/np4/out")"
#   finish
#
# A start on N ranks happens in $work/npN: standard output in out, standard error in err, the
# exit code in rc, and what the program made in its working folder, files. One rank is
# started without mpirun. refuse and accept start 1 and 4 ranks at the same time, and refuse
# does not wait for its verdict: its inputs have to stay, or settle has to be called.
set -u -o pipefail
shopt -s nullglob dotglob

dir=$(mktemp -d)
trap 'clean_up' EXIT
cd "$dir" || exit 1
mkdir "$dir/tmp"
touch "$dir/passed" "$dir/failed"

work=$dir      # where starts happen
on_ranks="1 4" # rank counts of refuse and accept
file_kb=       # the largest file a start may write, in KiB
wrap=()        # a command that starts the program
at_once=4      # refusals under way
limit=60       # seconds after which a start is a hang
[ -z "${FMAL_SANITIZE:-}" ] || limit=120
cases=0

# The tests decide themselves what the program may take for a batch job.
unset SLURM_NTASKS SLURM_STEP_NUM_TASKS PMI_SIZE PBS_NP SLURM_JOB_END_TIME

# The daemon of a rank without mpirun may still be removing its own files.
clean_up() {
    local i
    for i in 1 2 3 4 5; do
        rm -rf "$dir" 2>/dev/null && return
        sleep 0.2
    done
    echo "cannot remove $dir (tried $i times)" >&2
}

# ---- Checks -----------------------------------------------------------------------------

# skip WHY: the whole test
skip() {
    echo "skipped: $1"
    exit 77
}

# need PROGRAM...
need() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || skip "$program is not installed"
    done
}

# passes NAME
passes() {
    echo . >>"$dir/passed"
    echo "ok $1"
}

# fails NAME WHY [FILE...]: shows the files
fails() {
    local name=$1 why=$2 file
    shift 2
    echo . >>"$dir/failed"
    echo "not ok $name: $why"
    for file in "$@"; do
        sed "s|^|    ${file##*/}: |" "$file" | head -40
    done
}

# check NAME COMMAND...
check() {
    local name=$1
    shift
    if "$@" >"$dir/check.log" 2>&1; then
        passes "$name"
    else
        fails "$name" "$*" "$dir/check.log"
    fi
}

# same NAME GOT WANTED
same() {
    if [ "$2" = "$3" ]; then
        passes "$1"
    else
        fails "$1" "got \"$2\", wanted \"$3\""
    fi
}

# finish: end the test
finish() {
    local passed failed
    settle
    passed=$(wc -l <"$dir/passed")
    failed=$(wc -l <"$dir/failed")
    echo "$passed checks passed, $failed failed"
    [ "$passed" -gt 0 ] && [ "$failed" -eq 0 ]
    exit
}

# ---- Starts -----------------------------------------------------------------------------

# start RANKS ARGUMENT...: fmal in the folder that the last start on as many ranks used
start() {
    local np=$1 at=$work/np$1 launcher=() tmp
    shift
    if [ "$np" -gt 1 ]; then
        launcher=(mpirun -np "$np")
    elif [ -n "${FMAL_SANITIZE:-}" ]; then
        # A rank without mpirun has threads at its end that the leak checker trips over.
        launcher=(env ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0")
    fi
    mkdir -p "$at/files" "$at/shm"
    tmp=$(mktemp -d "$dir/tmp/XXXX")
    [ ${#wrap[@]} -eq 0 ] || chmod 777 "$tmp"
    # Open MPI's files go where nobody else has any: starts at the same time trip over each
    # other's. And when a rank has failed, mpirun need not wait a second for the others.
    (
        cd "$at/files" || exit 1
        [ -z "$file_kb" ] || ulimit -f "$file_kb"
        exec timeout -k 5 "$limit" "${wrap[@]}" env TMPDIR="$tmp" \
            OMPI_MCA_btl_vader_backing_directory="$at/shm" \
            OMPI_MCA_odls_base_sigkill_timeout=0 \
            "${launcher[@]}" "$FMAL" "$@"
    ) </dev/null >"${stdout:-$at/out}" 2>"$at/err"
    echo $? >"$at/rc"
}

# fresh RANKS ARGUMENT...: the same in an empty folder
fresh() {
    rm -rf "$work/np$1"
    mkdir -p "$work/np$1"
    start "$@"
}

# everywhere HOW ARGUMENT...: on each of on_ranks at once; HOW is start or fresh
everywhere() {
    local how=$1 np pids=()
    shift
    for np in $on_ranks; do
        "$how" "$np" "$@" &
        pids+=($!)
    done
    wait "${pids[@]}"
}

# The program's own lines among those of mpirun, but for the one that points to the help.
complaints() { grep '^fmal: ' "$work/np$1/err" | grep -v '^fmal: see fmal help '; }

# left_over RANKS: what no start may leave
left_over() {
    find "$work/np$1/shm" -mindepth 1
    find "$work/np$1/files" -name '*.new' -o -name '*.part'
}

# judge NAME RANKS WHY
judge() {
    local at=$work/np$2 why=$3
    [ -z "$(left_over "$2")" ] || why+="leaves $(left_over "$2"); "
    case $(cat "$at/rc") in
    124 | 137) why="hangs" ;;
    esac
    if [ -z "$why" ]; then
        passes "$1, np $2"
    else
        fails "$1, np $2" "$why" "$at/out" "$at/err"
    fi
}

# expect_refusal NAME CODE TEXT: judges starts that happened
expect_refusal() {
    local np code why
    for np in $on_ranks; do
        why='' code=$(cat "$work/np$np/rc")
        [ "$code" = "$2" ] || why+="exit code $code, not $2; "
        complaints "$np" | grep -qF -- "$3" || why+="no complaint with \"$3\"; "
        [ "$(complaints "$np" | wc -l)" -eq 1 ] || why+="not one complaint; "
        [ -n "${plan_first:-}" ] || [ ! -s "$work/np$np/out" ] || why+="prints on stdout; "
        judge "$1" "$np" "$why"
    done
}

# expect_success NAME: judges starts that happened
expect_success() {
    local np code why
    for np in $on_ranks; do
        why='' code=$(cat "$work/np$np/rc")
        [ "$code" = 0 ] || why+="exit code $code; "
        judge "$1" "$np" "$why"
    done
}

# refuse NAME CODE TEXT ARGUMENT...: fmal ends with CODE, having complained once, of TEXT,
# and made no file. The verdict comes later.
refuse() {
    while [ "$(jobs -rp | wc -l)" -ge "$at_once" ]; do
        wait -n
    done
    cases=$((cases + 1))
    refuse_now "$@" >"$dir/case$cases.log" 2>&1 &
}

refuse_now() {
    local name=$1 code=$2 text=$3 np made
    shift 3
    work=$dir/case$cases
    mkdir "$work"
    everywhere fresh "$@"
    expect_refusal "$name" "$code" "$text"
    for np in $on_ranks; do
        made=("$work/np$np/files/"*)
        [ ${#made[@]} -eq 0 ] || fails "$name, np $np" "makes ${made[*]##*/}"
    done
}

# settle: wait for the verdicts of refuse
settle() {
    local i
    wait
    for ((i = 1; i <= cases; i++)); do
        cat "$dir/case$i.log"
        rm -rf "$dir/case$i"
    done
    cases=0
}

# accept NAME ARGUMENT...: fmal succeeds
accept() {
    local name=$1
    shift
    everywhere fresh "$@"
    expect_success "$name"
}

# ---- Files ------------------------------------------------------------------------------

# make_pool FILE OPTION...: see make_pool.c
make_pool() {
    local file=$1
    shift
    "$FMAL_BUILD/tests/fmal_make_pool" "$@" "$dir/$file" || exit 1
}

# column FILE NAME: of a CSV, on one line
column() {
    awk -F, -v name="$2" '
        NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) at = i; next }
        { printf "%s%s", sep, $at; sep = " " }' "$1"
}

# h5_values FILE DATASET: of numbers, on one line
h5_values() {
    h5dump -y -w 1 -m %.17g -d "$2" -o "$dir/h5_values" "$1" >/dev/null &&
        tr -d ' ,' <"$dir/h5_values" | xargs
}

# h5_attribute FILE OBJECT/NAME
h5_attribute() {
    h5dump -m %.17g -a "$2" "$1" | sed -n 's/^ *(0): //p' | tr -d '"'
}

# close_to A B TOLERANCE: relative to B, which is positive
close_to() {
    awk -v a="$1" -v b="$2" -v most="$3" \
        'BEGIN { d = a - b; exit !(b > 0 && (d < 0 ? -d : d) <= most * b) }'
}

# put_bytes NUMBER...: each as one byte
put_bytes() {
    local byte
    for byte in "$@"; do
        # shellcheck disable=SC2059 # the format is the byte
        printf "\\x$(printf %02x "$byte")"
    done
}

# put_words NUMBER...: each as four bytes, the highest first
put_words() {
    local word
    for word in "$@"; do
        put_bytes $((word >> 24 & 255)) $((word >> 16 & 255)) $((word >> 8 & 255)) \
            $((word & 255))
    done
}

# idx_images N: images of 4 x 3 pixels of three kinds, in the format of the MNIST family
idx_images() {
    put_words 0x803 "$1" 4 3
    awk -v n="$1" 'BEGIN {
        for (i = 0; i < n; i++)
            for (j = 0; j < 12; j++)
                print (i % 3 == j % 3) * 150 + (i * 7 + j * j * 13) % 100
    }' | while read -r pixel; do
        printf '\\x%02x' "$pixel"
    done | xargs -0 printf %b
}

# idx_labels N: their labels
idx_labels() {
    local i
    put_words 0x801 "$1"
    for ((i = 0; i < $1; i++)); do
        put_bytes $((i % 3))
    done
}
