"""Tickets of photos to verdicts: the package under the commands of tools/. docs/design.md maps its rooms."""
