fmal_test(train trainer)
fmal_test(train optim)
fmal_test(train resume)
fmal_test(train eval)
fmal_test(train augment)
fmal_test(train validation)
fmal_test(train statistics)
fmal_test(train golden_net RANKS 1)

# Networks with known answers lie beside the source tree.
target_compile_definitions(test_train_golden_net PRIVATE
  FMAL_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
