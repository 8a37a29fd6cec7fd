//! What every room stands on: errors, the signal that ends a call, configuration.

pub mod allocator;
pub mod config;
pub mod error;
pub mod printable;
pub mod retry;
pub mod secret;
pub mod stop;
pub mod suggest;
