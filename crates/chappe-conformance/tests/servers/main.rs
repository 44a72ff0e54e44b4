//! Both servers, by every carrier, with clients that are slow, silent, too many or gone.
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "a test for a host with std")]

mod backlog;
mod carriers;
mod directory;
mod handlers;
mod limits;
mod shutdown;
mod support;
mod tls;
