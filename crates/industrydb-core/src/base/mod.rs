//! What every room stands on: errors, the signal that ends a call, configuration.

#[expect(unsafe_code, reason = "an allocator is unsafe by its trait")]
pub mod allocator;
pub mod config;
pub mod error;
pub mod printable;
pub mod retry;
pub(crate) mod secret;
pub mod stop;
pub mod suggest;
