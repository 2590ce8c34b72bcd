add_executable(fmal_make_pool cli/make_pool.c)
target_link_libraries(fmal_make_pool PRIVATE fmal_io fmal_flags m)
add_executable(fmal_make_golden cli/make_golden.c)
target_include_directories(fmal_make_golden PRIVATE support)
target_compile_definitions(fmal_make_golden PRIVATE FMAL_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
target_link_libraries(fmal_make_golden PRIVATE fmal_weights fmal_flags)

fmal_cli_test(install)
fmal_cli_test(docs RANKS 1)
fmal_cli_test(no_mpi RANKS 1)
fmal_cli_test(singleton RANKS 1)
set(timeout 300)
if(FMAL_SANITIZE)
  set(timeout 900)
endif()
foreach(behaviour IN ITEMS usage_errors config pool_errors outputs again full_disk run_errors
    import dry_run streams stream picks_file golden fisher bench embeddings mask
    imbalance weights fishermask)
  fmal_cli_test(${behaviour} RANKS 4 TIMEOUT ${timeout})
endforeach()

fmal_cli_test(golden_fishermask RANKS 4 TIMEOUT 900)

# Peak memory against plans.
fmal_cli_test(memory NAME memory_quick ARGS quick)
fmal_cli_test(memory LABELS slow TIMEOUT 1800)
