# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` puts where: below the prefix by the names of GNUInstallDirs, but for the
# configuration, which belongs in /etc when the prefix is /usr. Nothing is started or enabled.
set(GLANCEFS_CONTRIB ${PROJECT_SOURCE_DIR}/contrib)

install(TARGETS glancefs RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

foreach(section 1 5 8)
    install(DIRECTORY ${GLANCEFS_CONTRIB}/man/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section}
            FILES_MATCHING PATTERN "*.${section}")
endforeach()

install(FILES ${GLANCEFS_CONTRIB}/completion/glancefs.bash RENAME glancefs
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${GLANCEFS_CONTRIB}/completion/glancefs.zsh RENAME _glancefs
        DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)

install(FILES ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/LICENSE
        DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY ${GLANCEFS_CONTRIB}/doc/ DESTINATION ${CMAKE_INSTALL_DOCDIR}
        FILES_MATCHING PATTERN "*.md")
install(FILES ${GLANCEFS_CONTRIB}/glancefs.conf DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)
file(GLOB hooks CONFIGURE_DEPENDS ${GLANCEFS_CONTRIB}/hooks/*)
install(PROGRAMS ${hooks} DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)

# systemd looks for these in lib, whatever the library directory is.
install(DIRECTORY ${GLANCEFS_CONTRIB}/systemd/ DESTINATION lib/systemd/system OPTIONAL
        FILES_MATCHING PATTERN "*.service" PATTERN "*.socket" PATTERN "*.target")
install(FILES ${GLANCEFS_CONTRIB}/packaging/glancefs.sysusers RENAME glancefs.conf
        DESTINATION lib/sysusers.d)
install(FILES ${GLANCEFS_CONTRIB}/packaging/glancefs.tmpfiles RENAME glancefs.conf
        DESTINATION lib/tmpfiles.d)

# Known only at the time: the prefix may be named then. What an operator has edited stays.
install(CODE "set(GLANCEFS_CONTRIB \"${GLANCEFS_CONTRIB}\")")
install(SCRIPT ${CMAKE_CURRENT_LIST_DIR}/InstallConfiguration.cmake)
