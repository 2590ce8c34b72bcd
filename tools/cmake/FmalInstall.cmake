# Installation, the exported CMake package and fmal.pc.
include(CMakePackageConfigHelpers)

install(TARGETS fmal_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS fmal EXPORT fmalTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/fmal "${PROJECT_BINARY_DIR}/include/fmal"
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(DIRECTORY jobs/ DESTINATION ${CMAKE_INSTALL_DATADIR}/fmal/jobs
  USE_SOURCE_PERMISSIONS)
install(FILES README.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/fmal)
install(EXPORT fmalTargets NAMESPACE fmal:: DESTINATION ${package_dir})
configure_package_config_file(tools/cmake/fmalConfig.cmake.in
  "${PROJECT_BINARY_DIR}/fmalConfig.cmake" INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file("${PROJECT_BINARY_DIR}/fmalConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/fmalConfig.cmake"
  "${PROJECT_BINARY_DIR}/fmalConfigVersion.cmake"
  tools/cmake/FmalDependencies.cmake DESTINATION ${package_dir})

# fmal.pc finds its prefix from its own place, so that an installed tree may be moved.
# Programs need MPI's flags, since fmal/par.h includes mpi.h; and a static libfmal needs
# all that it was built with.
set(pc_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}" OR IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
  set(FMAL_PC_PREFIX "${CMAKE_INSTALL_PREFIX}")
  set(FMAL_PC_LIBDIR "${CMAKE_INSTALL_FULL_LIBDIR}")
  set(FMAL_PC_INCLUDEDIR "${CMAKE_INSTALL_FULL_INCLUDEDIR}")
else()
  file(RELATIVE_PATH up "/prefix/${pc_dir}" "/prefix")
  string(REGEX REPLACE "/$" "" up "${up}")
  set(FMAL_PC_PREFIX "\${pcfiledir}/${up}")
  set(FMAL_PC_LIBDIR "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
  set(FMAL_PC_INCLUDEDIR "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
list(JOIN MPI_C_INCLUDE_DIRS " -I" FMAL_PC_MPI_CFLAGS)
list(JOIN MPI_C_LIBRARIES " " FMAL_PC_MPI_LIBS)
set(private ${FMAL_scalapack_LIBRARY} ${FMAL_openblas_LIBRARY} ${HDF5_C_HL_LIBRARIES}
  ${HDF5_C_LIBRARIES} ${FMAL_xxhash_LIBRARY} ${FMAL_inih_LIBRARY} ${FMAL_jansson_LIBRARY}
  ${ZLIB_LIBRARIES} -lm)
list(REMOVE_DUPLICATES private)
list(JOIN private " " private)
if(BUILD_SHARED_LIBS)
  set(FMAL_PC_LIBS_PRIVATE "${private}")
else()
  set(FMAL_PC_LIBS "${private}")
endif()
configure_file(tools/cmake/fmal.pc.in "${PROJECT_BINARY_DIR}/fmal.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/fmal.pc" DESTINATION ${pc_dir})
