"""AIX, HP-UX and Solaris as far as holding a volume needs them: hosts with a state, driven by their own commands."""
