# SPDX-License-Identifier: Apache-2.0
# Run by CPack on what it has staged, before it makes the package: what Debian's policy wants and
# other installations do not.
set(docdir ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/usr/share/doc/glancefs)
set(mandir ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/usr/share/man)

file(REMOVE ${docdir}/LICENSE) # is in base-files; copyright names it
file(COPY ${CMAKE_CURRENT_LIST_DIR}/copyright ${CMAKE_CURRENT_LIST_DIR}/changelog
     DESTINATION ${docdir})
file(GLOB pages ${mandir}/man?/*.[158])
execute_process(COMMAND gzip -9nf ${docdir}/changelog ${pages} COMMAND_ERROR_IS_FATAL ANY)
