//! The client in its world: networks, machines and disks as people have them, simulated from a seed.
//!
//! `scripted` has one test for each fault that a user can meet; `played` plays what seeds make up, in parts, so that a
//! runner of tests uses all processors.

mod played;
mod scripted;
