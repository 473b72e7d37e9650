"""Where a holdstill repository lives: local directories, and whatever fsspec reaches."""
