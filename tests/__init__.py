"""A regular package, so that no installed distribution of that name is imported in its place."""
