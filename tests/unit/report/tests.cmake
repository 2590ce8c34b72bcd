fmal_test(report nearest_rows RANKS 1)
fmal_test(report tables RANKS 1 3)
fmal_test(report events RANKS 1 3)
fmal_test(report picks RANKS 1)
