fmal_test(ckpt ckpt)
fmal_test(ckpt hostile RANKS 1 3)
