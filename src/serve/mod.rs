//! Serving what others made: the docs site over HTTP, on a loopback address unless the user names another.

use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;

/// Serves the files below `folder` until `stop` resolves. Only files that lie in the folder are given; `started` is told the
/// address once it listens.
pub async fn folder(
    folder: PathBuf,
    address: SocketAddr,
    started: impl FnOnce(SocketAddr),
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    started(listener.local_addr()?);
    let app = Router::new().fallback(file).with_state(Arc::new(folder));
    axum::serve(listener, app).with_graceful_shutdown(stop).await
}

async fn file(State(folder): State<Arc<PathBuf>>, uri: Uri) -> Response {
    let Some(path) = below(&folder, uri.path()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match read_within(&folder, &path).await {
        Ok(bytes) => ([(header::CONTENT_TYPE, content_type(&path))], bytes).into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The file's bytes, unless a link leads out of the folder.
async fn read_within(folder: &Path, path: &Path) -> std::io::Result<Vec<u8>> {
    let (folder, path) = (tokio::fs::canonicalize(folder).await?, tokio::fs::canonicalize(path).await?);
    if !path.starts_with(&folder) {
        return Err(std::io::ErrorKind::NotFound.into());
    }
    tokio::fs::read(&path).await
}

/// The file a request names; none where the path would leave the folder.
fn below(folder: &Path, request: &str) -> Option<PathBuf> {
    let relative = Path::new(request.trim_start_matches('/'));
    let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
    let relative = if request == "/" { Path::new("index.html") } else { relative };
    plain.then(|| folder.join(relative))
}

fn content_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}
