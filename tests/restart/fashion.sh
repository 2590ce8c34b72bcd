#!/usr/bin/env bash
# Five rounds of Fashion-MNIST: the same tables, to the byte, on 1, 2, 3 and 4 ranks.
# shellcheck source=tests/restart/lib.sh
. "$(dirname "$0")/lib.sh"
limit=1800
from=${FMAL_FASHION_MNIST:-/usr/share/datasets/fashion-mnist}

if [ ! -e "$from/train-images-idx3-ubyte.gz" ]; then
    echo "skipped: no Fashion-MNIST in $from"
    exit 77
fi
"$FMAL" import --format idx --images "$from/train-images-idx3-ubyte.gz" \
    --labels "$from/train-labels-idx1-ubyte.gz" \
    --test-images "$from/t10k-images-idx3-ubyte.gz" \
    --test-labels "$from/t10k-labels-idx1-ubyte.gz" -o fashion.h5

for np in 1 2 3 4; do
    launch $np run --data fashion.h5 --run np$np --initial 100 --batch 100 --rounds 5
    expect_rc 0 "five rounds on $np ranks"
    same_end np1 np$np
    ok "five rounds on $np ranks"
done
