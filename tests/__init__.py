"""A package, so that one of this name that another distribution installs does not stand in its place."""
