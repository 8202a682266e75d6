"""OKLA's words, bodies and documents."""
