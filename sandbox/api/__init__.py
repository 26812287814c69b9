"""The host API, declared once: `spec` says what a declaration is, `functions` lists them all."""
