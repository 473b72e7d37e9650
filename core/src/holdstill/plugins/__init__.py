"""Finding plugins, loading them one by one, and choosing exactly one for each job."""
