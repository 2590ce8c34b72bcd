fmal_test(train trainer)
fmal_test(train optim)
fmal_test(train resume)
fmal_test(train eval)
