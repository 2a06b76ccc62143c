# Every third-party library of coolbeans, once, with its reason. Each is a Debian package;
# scripts/packages lists the package names. A header of a library is included from one folder only.
find_package(PkgConfig REQUIRED)

# Event loop, sockets, timers, signals in both daemons.
pkg_check_modules(UV REQUIRED IMPORTED_TARGET libuv>=1.44)
# Consensus. 0.15 (Debian 12's own) commits entries of older terms by counting replicas: an
# acknowledged job can be lost (Raft paper, figure 8). So anything older than 0.22 is refused.
pkg_check_modules(RAFT REQUIRED IMPORTED_TARGET raft)
file(STRINGS ${RAFT_INCLUDEDIR}/raft.h CB_RAFT_VERSION_LINES REGEX "^#define RAFT_VERSION_(MAJOR|MINOR)")
set(CB_RAFT_VERSION 0.0)
if(CB_RAFT_VERSION_LINES MATCHES "RAFT_VERSION_MAJOR ([0-9]+)")
  set(CB_RAFT_MAJOR ${CMAKE_MATCH_1})
  if(CB_RAFT_VERSION_LINES MATCHES "RAFT_VERSION_MINOR ([0-9]+)")
    set(CB_RAFT_VERSION ${CB_RAFT_MAJOR}.${CMAKE_MATCH_1})
  endif()
endif()
if(CB_RAFT_VERSION VERSION_LESS 0.22)
  message(FATAL_ERROR
    "libraft ${RAFT_VERSION} is too old: coolbeans needs 0.22 or later. Older ones commit entries of "
    "earlier terms by counting replicas (Raft paper, figure 8), which can lose an acknowledged job. "
    "On Debian 12 run scripts/setup, which takes libraft from the release's backports.")
endif()
# The durable state behind the job state machine.
find_path(LMDB_INCLUDE_DIR lmdb.h REQUIRED)
find_library(LMDB_LIBRARY lmdb REQUIRED)
add_library(cb_lmdb INTERFACE)
target_include_directories(cb_lmdb SYSTEM INTERFACE ${LMDB_INCLUDE_DIR})
target_link_libraries(cb_lmdb INTERFACE ${LMDB_LIBRARY})
# Proxy to node streams, C core only. grpc.pc drags in fifty abseil libraries; these two are enough.
find_path(GRPC_INCLUDE_DIR grpc/grpc.h REQUIRED)
find_library(GRPC_LIBRARY grpc REQUIRED)
find_library(GPR_LIBRARY gpr REQUIRED)
add_library(cb_grpc INTERFACE)
target_include_directories(cb_grpc SYSTEM INTERFACE ${GRPC_INCLUDE_DIR})
target_link_libraries(cb_grpc INTERFACE ${GRPC_LIBRARY} ${GPR_LIBRARY})
# The messages in proto/. In 1.4.0 and before a hostile length overflows (CVE-2022-48468).
pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c>=1.4.1)
find_program(PROTOC_C protoc-c REQUIRED)
# XXH3: checksums of records and digests of the state; header-only use, so it adds no symbol.
find_path(XXHASH_INCLUDE_DIR xxhash.h REQUIRED)
# uthash: maps keyed by strings. Header only; iterates in insertion order, never in hash order.
find_path(UTHASH_INCLUDE_DIR uthash.h REQUIRED)
# HTTP for operators' health checks; runs in the node's loop by its epoll descriptor.
pkg_check_modules(MICROHTTPD REQUIRED IMPORTED_TARGET libmicrohttpd)
# JSON of cluster.json and `coolbeans status --json`.
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
find_package(Threads REQUIRED)
if(CB_TESTS)
  pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka) # unit tests
  pkg_check_modules(FUSE3 REQUIRED IMPORTED_TARGET fuse3)   # lossfs of the chaos rig
endif()
