//! Two-step verification: SRP.
