"""Suites that holdstill plugins are held to, fakes and strategies."""
