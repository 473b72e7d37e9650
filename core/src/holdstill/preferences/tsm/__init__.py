"""The options files that administrators of TSM (Spectrum Protect) have: dsm.opt, dsm.sys and include-exclude lists."""
