#!/bin/sh
# Prints memoman's version: the one of Cargo.toml's workspace, the only place where it is written down.
exec sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$(dirname "$0")/../Cargo.toml"
