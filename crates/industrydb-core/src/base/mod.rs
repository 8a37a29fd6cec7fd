//! Modules that all others build on: errors, the stop signal of a call, configuration, retries.

#[expect(unsafe_code, reason = "an allocator is unsafe by its trait")]
pub mod allocator;
pub mod config;
pub mod error;
pub mod file;
mod mistaken_uri;
pub mod printable;
pub mod retry;
mod scheme;
pub(crate) mod secret;
pub mod stop;
pub mod suggest;
