set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

option(CB_TESTS "Build the tests" ON)
option(CB_WERROR "Treat warnings as errors (off for packagers)" ON)
option(CB_FUZZ "Build the libFuzzer targets (needs clang)" OFF)
option(CB_COVERAGE "Instrument for coverage" OFF)
set(CB_SANITIZE "" CACHE STRING "Sanitizers, e.g. address,undefined or thread")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()

# Every target of ours links this; it never reaches generated or third-party code.
add_library(cb_warnings INTERFACE)
target_compile_options(cb_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes
  -Wmissing-prototypes -Wold-style-definition -Wundef -Wcast-qual -Wwrite-strings -Wformat=2
  -Wvla -Wswitch-enum -Wimplicit-fallthrough -Wpointer-arith)
if(CB_WERROR)
  target_compile_options(cb_warnings INTERFACE -Werror)
endif()

add_compile_definitions(_GNU_SOURCE)
add_compile_options(-fno-strict-aliasing -fno-common)
if(CMAKE_BUILD_TYPE STREQUAL "Debug")
  add_compile_options(-O1 -g)
else()
  add_compile_options(-O2 -g -fstack-protector-strong)
  if(NOT CB_SANITIZE)
    add_compile_definitions(_FORTIFY_SOURCE=2)
  endif()
  add_link_options(-Wl,-z,relro,-z,now)
endif()
if(CB_SANITIZE)
  add_compile_options(-fsanitize=${CB_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${CB_SANITIZE})
endif()
if(CB_SANITIZE MATCHES thread)
  # For every test, and the daemons that it starts: Debian's libgrpc is not instrumented.
  set(CB_TEST_ENVIRONMENT "TSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tests/tsan.supp")
endif()
if(CB_COVERAGE)
  add_compile_options(--coverage)
  add_link_options(--coverage)
endif()
if(CB_FUZZ AND NOT CMAKE_C_COMPILER_ID STREQUAL "Clang")
  message(FATAL_ERROR "CB_FUZZ needs clang: libFuzzer is part of it. Use the 'fuzz' preset.")
endif()
# With CB_FUZZ the libraries are instrumented for coverage feedback, the fuzz programs link libFuzzer.
if(CB_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
# CB_ASSERT does not depend on NDEBUG: assertions stay on in release.
