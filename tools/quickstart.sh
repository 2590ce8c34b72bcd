#!/usr/bin/env bash
# From nothing to two learning curves; see usage below.
set -eu -o pipefail

usage() {
    cat <<'EOF'
Usage: tools/quickstart.sh

Installs what is missing, builds fmal, imports Fashion-MNIST, and runs five rounds of
active learning twice: with batches picked by BAIT and at random. Prints the accuracy of
both by number of labels. Everything made is in build/release and quickstart/; a second
call goes on where the first one stopped.

  FMAL_FASHION_MNIST=DIR  folder of the four Fashion-MNIST files, where the package
                          dataset-fashion-mnist cannot be installed
EOF
}

case ${1:-} in
'') ;;
-h | --help) usage && exit 0 ;;
*) echo "quickstart.sh: unknown argument $1; see tools/quickstart.sh --help" >&2 && exit 2 ;;
esac
if [ -n "${FMAL_FASHION_MNIST:-}" ]; then
    FMAL_FASHION_MNIST=$(realpath "$FMAL_FASHION_MNIST")
    export FMAL_FASHION_MNIST
fi
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=tools/env.sh
. tools/env.sh

say() { printf '\n== %s\n' "$*" >&2; }

say "Install"
bash tools/setup.sh --data

say "Build"
if [ ! -e build/release/CMakeCache.txt ] && command -v ninja >/dev/null; then
    export CMAKE_GENERATOR=Ninja
fi
cmake --preset release -DFMAL_BUILD_TESTS=OFF >&2
cmake --build build/release --parallel "$fmal_cores" >&2
fmal=$PWD/build/release/fmal

say "Import Fashion-MNIST"
raw=${FMAL_FASHION_MNIST:-/usr/share/datasets/fashion-mnist}
data=quickstart/fmnist.h5
mkdir -p quickstart
if [ -e $data ]; then
    echo "$data is there" >&2
else
    for file in {train,t10k}-{images-idx3,labels-idx1}-ubyte.gz; do
        if [ ! -r "$raw/$file" ]; then
            echo "quickstart.sh: $raw/$file is missing; set FMAL_FASHION_MNIST to the folder of the four files" >&2
            exit 1
        fi
    done
    "$fmal" import --format idx \
        --images "$raw/train-images-idx3-ubyte.gz" \
        --labels "$raw/train-labels-idx1-ubyte.gz" \
        --test-images "$raw/t10k-images-idx3-ubyte.gz" \
        --test-labels "$raw/t10k-labels-idx1-ubyte.gz" --output $data
fi

fmal_ranks 2
for strategy in bait random; do
    say "Run: $strategy"
    mpirun -np 2 "$fmal" run --data $data --model mlp --strategy $strategy \
        --initial 100 --batch 100 --rounds 5 --seed 1 --run quickstart/$strategy </dev/null
done

# labels_and_accuracy FILE: two columns of a metrics.csv, found by their names.
labels_and_accuracy() {
    awk -F, '
        NR == 1 {
            for (i = 1; i <= NF; i++)
                column[$i] = i
            if (!("labelled" in column) || !("test_accuracy" in column)) {
                print FILENAME ": no column labelled or test_accuracy" >"/dev/stderr"
                exit 1
            }
            next
        }
        { print $column["labelled"], $column["test_accuracy"] }' "$1"
}

say "Test accuracy by number of labels"
bait=$(labels_and_accuracy quickstart/bait/metrics.csv)
random=$(labels_and_accuracy quickstart/random/metrics.csv)
printf '%8s  %8s  %8s\n' labels bait random
join <(LC_ALL=C sort <<<"$bait") <(LC_ALL=C sort <<<"$random") | sort -n |
    awk '{ printf "%8d  %8.4f  %8.4f\n", $1, $2, $3 }'
