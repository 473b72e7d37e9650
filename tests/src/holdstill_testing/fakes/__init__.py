"""Working stand-ins for targets, volumes and stills: what the suites are tried on, and what other tests may use."""
