"""The holdstill command."""
