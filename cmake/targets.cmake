# cb_library(NAME SOURCES ... [LINK our libraries] [PRIVATE third-party libraries])
# A folder of src/ is one static library. Third-party libraries are linked PRIVATE, so that their
# headers can be included from that folder only.
function(cb_library name)
  cmake_parse_arguments(A "" "" "SOURCES;LINK;PRIVATE" ${ARGN})
  add_library(${name} STATIC ${A_SOURCES})
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(${name} PUBLIC ${A_LINK} PRIVATE ${A_PRIVATE} cb_warnings)
endfunction()

# cb_program(NAME SOURCES ... LINK ...): an executable in build/<preset>/bin.
function(cb_program name)
  cmake_parse_arguments(A "" "" "SOURCES;LINK;PRIVATE" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(${name} PRIVATE ${A_LINK} ${A_PRIVATE} cb_warnings)
endfunction()

# cb_test(NAME SOURCES ... LINK ... [LABELS unit] [TIMEOUT s] [ARGS ...]): a cmocka program run by CTest.
function(cb_test name)
  cmake_parse_arguments(A "" "TIMEOUT" "SOURCES;LINK;PRIVATE;LABELS;ARGS" ${ARGN})
  if(NOT A_LABELS)
    set(A_LABELS unit)
  endif()
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 120)
  endif()
  add_executable(${name} ${A_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE ${A_LINK} ${A_PRIVATE} PkgConfig::CMOCKA cb_warnings)
  add_test(NAME ${name} COMMAND ${name} ${A_ARGS})
  set_tests_properties(${name} PROPERTIES LABELS "${A_LABELS}" TIMEOUT ${A_TIMEOUT} SKIP_RETURN_CODE 77
    ENVIRONMENT "${CB_TEST_ENVIRONMENT}")
endfunction()

# cb_fuzz(NAME SOURCES ... LINK ...): with CB_FUZZ a libFuzzer program in build/fuzz/fuzz.
function(cb_fuzz name)
  if(NOT CB_FUZZ)
    return()
  endif()
  cmake_parse_arguments(A "" "" "SOURCES;LINK;PRIVATE" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/tests)
  target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  target_link_libraries(${name} PRIVATE ${A_LINK} ${A_PRIVATE} cb_warnings)
  if(NOT TARGET fuzzers) # what the preset builds
    add_custom_target(fuzzers)
  endif()
  add_dependencies(fuzzers ${name})
endfunction()
