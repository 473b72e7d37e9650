"""Used blocks of swap areas: of what is swapped out, nothing survives the restart that a restore is."""
