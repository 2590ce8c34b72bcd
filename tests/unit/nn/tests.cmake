# Networks compute on one process; what ranks see is tested with train.
fmal_test(nn conv RANKS 1)
fmal_test(nn layers RANKS 1)
fmal_test(nn gradients RANKS 1)
fmal_test(nn samples RANKS 1)
fmal_test(nn net RANKS 1)
fmal_test(nn loss RANKS 1)

# Layers, and networks in double precision, are private to the module.
foreach(unit conv layers gradients samples)
  target_include_directories(test_nn_${unit} PRIVATE "${PROJECT_SOURCE_DIR}/src/nn")
endforeach()

# Speeds, for docs/performance.md; not a test.
add_executable(measure_conv support/measure_conv.c)
target_link_libraries(measure_conv PRIVATE fmal_nn fmal_flags)
target_include_directories(measure_conv PRIVATE "${PROJECT_SOURCE_DIR}/src/nn")
