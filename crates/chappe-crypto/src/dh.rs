//! Diffie-Hellman parameters and their checks.
