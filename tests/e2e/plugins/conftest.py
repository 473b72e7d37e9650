"""The plugins here are tried as their users would: as wheels, installed. Their tests are not collected in place."""

collect_ignore_glob = ["*/test_*.py"]
