# Debian packages: `cmake --preset package && cmake --build --preset package && (cd build/package && cpack)`. LEV_REVISION is the part of
# the version after the dash.
set(LEV_REVISION 1 CACHE STRING "Revision of the Debian packages")
# Whoever builds packages for others says who he is; the address here is nobody's, and no package was ever asked for in Debian (overrides).
set(LEV_MAINTAINER "The authors of Leveret <leveret@localhost.localdomain>" CACHE STRING "Maintainer of the Debian packages")
set(HERE ${CMAKE_CURRENT_LIST_DIR}/debian)
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME leveret)
set(CPACK_PACKAGE_CONTACT ${LEV_MAINTAINER})
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX ${CMAKE_INSTALL_PREFIX})
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_COMPONENTS_ALL server tools library development bench)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE ${LEV_REVISION})
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${CMAKE_BINARY_DIR}/clients/c)

# package(COMPONENT NAME SECTION DESCRIPTION)
macro(debian_package component name section description)
  string(TOUPPER ${component} id)
  set(CPACK_DEBIAN_${id}_PACKAGE_NAME ${name})
  set(CPACK_DEBIAN_${id}_PACKAGE_SECTION ${section})
  set(CPACK_COMPONENT_${id}_DESCRIPTION "${description}")
  if(LEV_DEBIAN)
    install(FILES ${HERE}/copyright DESTINATION share/doc/${name} COMPONENT ${component})
    install(FILES ${CMAKE_BINARY_DIR}/debian/changelog.Debian.gz DESTINATION share/doc/${name} COMPONENT ${component})
    file(STRINGS ${HERE}/lintian-overrides overrides)
    list(TRANSFORM overrides PREPEND "${name}: ")
    if(NOT ${component} STREQUAL library)
      list(FILTER overrides EXCLUDE REGEX ldconfig)
    endif()
    list(JOIN overrides "\n" overrides)
    file(WRITE ${CMAKE_BINARY_DIR}/debian/overrides/${name} "${overrides}\n")
    install(FILES ${CMAKE_BINARY_DIR}/debian/overrides/${name} DESTINATION share/lintian/overrides COMPONENT ${component})
  endif()
endmacro()

debian_package(server leveret-server net "message broker, AMQP 0-9-1 over a durable journal
Takes messages from publishers and gives them to consumers, by AMQP 0-9-1
with RabbitMQ's extensions. A confirm is sent when the message is on disk.
.
This package has the broker, leveretd, as a service, and leveretctl.")
debian_package(tools leveret-tools net "command line tools for AMQP 0-9-1 brokers
leveret publishes, consumes and declares from a shell; leveret-outbox
publishes the rows of a database table, each once and in order.")
debian_package(library libleveret0 libs "client library for AMQP 0-9-1 with idempotency built in
Connections that come back, publishes with exactly one outcome each,
workers, requests, circuit breaker, retry and sagas.")
debian_package(development libleveret-dev libdevel "client library for AMQP 0-9-1, development files
Headers, static libraries (client, outbox, inboxes, mock broker), files for
pkg-config and CMake, and example programs.")
debian_package(bench leveret-bench net "load generator for AMQP 0-9-1 brokers
Puts load on any AMQP broker without coordinated omission, and verifies that
nothing is lost, doubled or out of order.")

set(CPACK_DEBIAN_SERVER_PACKAGE_DEPENDS "adduser, procps")
set(CPACK_DEBIAN_SERVER_PACKAGE_RECOMMENDS "leveret-tools, logrotate")
set(CPACK_DEBIAN_SERVER_PACKAGE_CONTROL_EXTRA ${HERE}/postinst ${HERE}/prerm ${HERE}/postrm ${HERE}/conffiles)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA ${HERE}/triggers)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "libleveret0 (= ${PROJECT_VERSION}-${LEV_REVISION}), libc6-dev, libssl-dev")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SUGGESTS "pkg-config, libsqlite3-dev, libpq-dev, liblmdb-dev, libpcre2-dev")

if(LEV_DEBIAN)
  # What Debian wants compressed is, as it wants it: without a time of the machine that builds.
  file(WRITE ${CMAKE_BINARY_DIR}/debian/changelog "leveret (${PROJECT_VERSION}-${LEV_REVISION}) unstable; urgency=medium

  * See CHANGELOG.md.

 -- ${LEV_MAINTAINER}  Fri, 27 Nov 2026 12:00:00 +0000
")
  execute_process(COMMAND gzip -9nc ${CMAKE_BINARY_DIR}/debian/changelog OUTPUT_FILE ${CMAKE_BINARY_DIR}/debian/changelog.Debian.gz
    COMMAND_ERROR_IS_FATAL ANY)
  # The last of all, so that the manuals are there.
  install(CODE "file(GLOB pages \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/share/man/man*/*.[1-8]\")
    foreach(page \${pages})
      execute_process(COMMAND gzip -9nf \${page} COMMAND_ERROR_IS_FATAL ANY)
    endforeach()" ALL_COMPONENTS)
endif()
include(CPack)
