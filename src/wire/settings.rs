//! The settings of a connection to PostgreSQL, by dbt's names.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value as Json};

use super::WireError;

/// How much of TLS is asked for: libpq's `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsMode {
    Disable,
    /// Plain, or TLS if the server insists.
    Allow,
    /// TLS if the server has it.
    Prefer,
    /// TLS with whoever answers.
    Require,
    /// TLS with a certificate that the root certificate vouches for.
    VerifyCa,
    /// That, and it names the host.
    VerifyFull,
}

/// Where and as whom to connect. No `Debug`: it holds the password.
#[derive(Clone)]
pub struct Settings {
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: Option<String>,
    pub database: String,
    pub role: Option<String>,
    pub search_path: Option<String>,
    pub application_name: String,
    pub connect_timeout: Duration,
    pub keepalives_idle: Option<Duration>,
    /// Further attempts after a connection that failed.
    pub retries: u32,
    pub tls: TlsMode,
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    /// A file of trusted certificates; `system` stands for the system's own.
    pub root_certificate: Option<PathBuf>,
    /// Whether the connection is one that the server streams changes on.
    pub replication: bool,
}

fn invalid(message: String) -> WireError {
    WireError { code: "settings-invalid", message, position: None, help: None }
}

impl Settings {
    /// # Errors
    /// `settings-invalid`: a setting that is missing or cannot be read.
    pub fn read(settings: &Map<String, Json>, database: &str) -> Result<Self, WireError> {
        let text = |key: &str| match settings.get(key)? {
            Json::Null => None,
            Json::String(text) if text.is_empty() => None,
            Json::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        let number = |key: &str, default: u64| match text(key) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| invalid(format!("`{key}` must be a whole number, not `{text}`"))),
        };
        let path = |key: &str| text(key).map(PathBuf::from);
        let port = number("port", 5432)?;
        let idle = number("keepalives_idle", 0)?;
        Ok(Self {
            host: text("host").unwrap_or_else(|| "localhost".to_string()),
            port: u16::try_from(port).map_err(|_| invalid(format!("`port` {port} is beyond 65535")))?,
            user: text("user").ok_or_else(|| invalid("`user` is missing in the profile".to_string()))?,
            password: text("password").or_else(|| text("pass")),
            database: database.to_string(),
            role: text("role"),
            search_path: text("search_path"),
            application_name: text("application_name").unwrap_or_else(|| "headwater".to_string()),
            connect_timeout: Duration::from_secs(number("connect_timeout", 10)?.max(1)),
            keepalives_idle: (idle > 0).then(|| Duration::from_secs(idle)),
            retries: u32::try_from(number("retries", 1)?).unwrap_or(1),
            tls: tls_mode(text("sslmode").as_deref())?,
            certificate: path("sslcert"),
            key: path("sslkey"),
            root_certificate: path("sslrootcert"),
            replication: false,
        })
    }
}

fn tls_mode(text: Option<&str>) -> Result<TlsMode, WireError> {
    Ok(match text {
        Some("disable") => TlsMode::Disable,
        Some("allow") => TlsMode::Allow,
        None | Some("prefer") => TlsMode::Prefer,
        Some("require") => TlsMode::Require,
        Some("verify-ca") => TlsMode::VerifyCa,
        Some("verify-full") => TlsMode::VerifyFull,
        Some(other) => {
            let known = "disable, allow, prefer, require, verify-ca, verify-full";
            return Err(invalid(format!("`sslmode: {other}` is none of {known}")));
        }
    })
}
