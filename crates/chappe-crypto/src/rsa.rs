//! RSA keys, fingerprints and `RSA_PAD`.
