fmal_test(factor gram)
fmal_test(factor rows)
fmal_test(factor sample)
fmal_test(factor cut)
fmal_test(factor panel RANKS 1 2 3)
fmal_test(factor stream)
fmal_test(factor mixed)

# The copies of the hot loops are private to the module.
fmal_test(factor kernels RANKS 1)
target_include_directories(test_factor_kernels PRIVATE "${PROJECT_SOURCE_DIR}/src/factor")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  target_compile_definitions(test_factor_kernels PRIVATE FMAL_X86_ISA)
endif()
