#!/bin/sh
# Every file in the folders is in its local.mk: no test is forgotten, none is missing in a release.
exec "${SHELL:-/bin/sh}" "${srcdir:-.}/build-aux/lists.sh" --check
