"""What is taken for so on a host, asked of it: for ``holdstill providers --check``. Nothing here changes anything."""
