#!/bin/sh
# Chromium for the browser tests and bubblewrap for the sandbox tests. $1: the virtual environment's bin folder.
# Says what is missing and goes on: the tests that need it then say so too.
have_chromium() { command -v chromium || command -v chromium-browser || command -v google-chrome; }

if ! have_chromium >/dev/null && ! "$1/playwright" install chromium >/dev/null 2>&1; then
    echo "Playwright could not download Chromium; trying the system's package."
    wanted=chromium
fi
if [ "$(uname)" = Linux ] && ! command -v bwrap >/dev/null; then
    wanted="$wanted bubblewrap"
fi
if [ -n "$wanted" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq && apt-get install -y -qq $wanted >/dev/null || echo "Could not install: $wanted"
elif [ -n "$wanted" ]; then
    echo "Not installed, and needed for some tests: $wanted"
fi
