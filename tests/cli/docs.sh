#!/usr/bin/env bash
# docs/cli.md is what the option tables say.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

"$FMAL" help --markdown >"$dir/cli.md"
check "not empty" grep -q '^## ' "$dir/cli.md"
check "docs/cli.md is as tools/make_cli_docs writes it" diff "$FMAL_SOURCE/docs/cli.md" "$dir/cli.md"
finish
