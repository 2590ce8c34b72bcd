fmal_test(la grid)
fmal_test(la dmat)
fmal_test(la lowrank)
fmal_test(la small RANKS 1)
