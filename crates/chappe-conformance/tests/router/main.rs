//! Servers whose calls are answered by a typed router, and clients of ours.

mod calls;
mod limits;
mod methods;
mod rig;
mod stopping;
mod tower_layers;
