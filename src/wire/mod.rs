//! Connections to PostgreSQL by its own protocol: logins, TLS, statements, and streams of copied or replicated bytes.
//!
//! [`Wire`] is one connection; [`Settings`] says where and as whom. Both what runs projects there and what follows its changes
//! stand on it.

mod connection;
mod settings;
mod tls;

pub use connection::{CancelKey, Field, Reply, Wire};
pub use settings::{Settings, TlsMode};

/// What went wrong on a connection: the server's own message, with the place in the statement where it tells one.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct WireError {
    /// `connect`, `login`, `connection`, `sql-run` or `settings-invalid`.
    pub code: &'static str,
    pub message: String,
    /// Line and column in the statement, from 1.
    pub position: Option<(u32, u32)>,
    pub help: Option<String>,
}
