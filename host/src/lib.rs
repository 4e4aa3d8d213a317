//! What engines share that keep files on the disks of this host.
//!
//! - [`volume`]: what a directory lies on;
//! - [`turn`]: who of several processes goes next;
//! - [`worker`]: threads with a name and an end.
//!
//! This crate knows no store: only the system.

pub mod turn;
pub mod volume;
pub mod worker;
