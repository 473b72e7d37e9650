"""Where options come from: defaults, then the options files, then a volume's own section, then what was asked for."""
