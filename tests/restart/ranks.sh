#!/usr/bin/env bash
# The same tables, to the byte, on 1, 2, 3 and 4 ranks; the same picks on larger grids.
. "$(dirname "$0")/lib.sh"

make_data set data.h5 1 700 200
finish 1 np1
for np in 2 3 4; do
    finish $np np$np
    same_tables np1 np$np
    h5diff -q np1/checkpoint.h5 np$np/checkpoint.h5 /model /model ||
        die "weights differ on $np ranks"
done
[ "$(wc -l <np1/picks.csv)" = 41 ] || die "not 40 picks"
ok "metrics.csv and picks.csv on 1, 2, 3 and 4 ranks"

# 2000 samples: the last of 8 blocks is short, and every rank has some; and fewer samples
# than a block, so that one rank has them all.
for n in 2000 97; do
    make_data pool pool.h5 3 $n 11 4
    for at in 1:auto 2:auto 3:auto 4:auto 2:1x2 2:2x1 4:2x2 3:1x3 4:1x2; do
        np=${at%:*} grid=${at#*:}
        launch "$np" select --pool pool.h5 --batch 20 --lambda 0.01 --grid "$grid" \
            -o p$n-$np-$grid.h5
        expect_rc 0 "select on a grid of $grid"
        cut -d, -f 1,2 p$n-$np-$grid.csv >got
        [ -e want$n ] || cp got want$n
        cmp want$n got || die "n = $n: other picks on $np ranks, grid $grid"
        [ "$grid" != auto ] || cmp p$n-1-auto.csv p$n-$np-auto.csv || die "other scores"
    done
done
ok "picks on grids of 1x1, 1x2, 2x1, 2x2, 1x3"
