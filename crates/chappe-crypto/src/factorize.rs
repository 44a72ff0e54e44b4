//! Factorisation of `pq`.
