//! One connection: PostgreSQL's frontend/backend protocol 3.0, by simple queries, whose values come as text.
//!
//! Simple queries take several statements at once and give the command tag of each (`SELECT 5`), as projects written for psycopg2
//! expect; `postgres-protocol` does the messages' bytes.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::{ErrorFields, Message};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::ServerName;

use super::WireError;
use super::settings::{Settings, TlsMode};
use super::tls;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send + Sync {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync> Stream for T {}

/// A column of a result: its name, its type's number in the server's catalog, and the type's modifier (a length, a precision).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    pub type_oid: u32,
    pub modifier: i32,
}

/// The last statement's result.
#[derive(Debug, Default)]
pub struct Reply {
    /// `SELECT 5`, `CREATE VIEW`; empty for an empty statement.
    pub tag: String,
    pub fields: Vec<Field>,
    /// Values as the server writes them as text.
    pub rows: Vec<Vec<Option<String>>>,
}

/// What names a running statement to the server when it is to be cancelled.
#[derive(Clone, Debug)]
pub struct CancelKey {
    process_id: i32,
    secret_key: i32,
    host: String,
    port: u16,
}

pub struct Wire {
    stream: Box<dyn Stream>,
    input: BytesMut,
    output: BytesMut,
    process_id: i32,
    secret_key: i32,
    /// `I` idle, `T` in a transaction, `E` in one that failed.
    status: u8,
}

fn broken(error: &io::Error) -> WireError {
    let message = format!("the connection to the server broke: {error}");
    WireError { code: "connection", message, position: None, help: None }
}

fn refused(message: String) -> WireError {
    WireError { code: "connect", message, position: None, help: None }
}

impl Wire {
    /// Connects, within the settings' time, as often as they say.
    pub async fn connect(settings: &Settings) -> Result<Self, WireError> {
        let mut attempt = 0;
        loop {
            let outcome = tokio::time::timeout(settings.connect_timeout, Self::open(settings)).await;
            let error = match outcome {
                Ok(Ok(wire)) => return Ok(wire),
                // What the server itself refuses (a wrong password) does not get better.
                Ok(Err(error)) if error.code != "connect" => return Err(error),
                Ok(Err(error)) => error,
                Err(_) => refused(format!("{}:{} did not answer in time", settings.host, settings.port)),
            };
            if attempt >= settings.retries {
                return Err(error);
            }
            attempt += 1;
            tokio::time::sleep(Duration::from_secs(u64::from(attempt) * u64::from(attempt))).await;
        }
    }

    /// By the ways that `sslmode` allows: the second where the server refuses the first.
    async fn open(settings: &Settings) -> Result<Self, WireError> {
        let second = match settings.tls {
            TlsMode::Allow => TlsMode::Require,
            TlsMode::Prefer => TlsMode::Disable,
            mode => return Self::open_with(settings, mode).await,
        };
        match Self::open_with(settings, settings.tls).await {
            Err(error) if error.code == "login" && !settings.host.starts_with('/') => {
                Self::open_with(settings, second).await.map_err(|_| error)
            }
            outcome => outcome,
        }
    }

    async fn open_with(settings: &Settings, mode: TlsMode) -> Result<Self, WireError> {
        let mut wire = Self {
            stream: stream(settings, mode).await?,
            input: BytesMut::with_capacity(8192),
            output: BytesMut::with_capacity(8192),
            process_id: 0,
            secret_key: 0,
            status: b'I',
        };
        wire.log_in(settings).await?;
        if let Some(role) = &settings.role {
            wire.query(&format!("set role {role}")).await?;
        }
        Ok(wire)
    }

    pub fn in_transaction(&self) -> bool {
        self.status != b'I'
    }

    pub fn cancel_key(&self, settings: &Settings) -> CancelKey {
        let (host, port) = (settings.host.clone(), settings.port);
        CancelKey { process_id: self.process_id, secret_key: self.secret_key, host, port }
    }

    async fn log_in(&mut self, settings: &Settings) -> Result<(), WireError> {
        let path = settings.search_path.as_ref().map(|path| format!("-c search_path={}", path.replace(' ', "\\ ")));
        let mut parameters = vec![
            ("user", settings.user.as_str()),
            ("database", settings.database.as_str()),
            ("client_encoding", "UTF8"),
            ("DateStyle", "ISO"),
            ("application_name", settings.application_name.as_str()),
        ];
        if settings.replication {
            parameters.push(("replication", "database"));
        }
        if let Some(path) = &path {
            parameters.push(("options", path));
        }
        frontend::startup_message(parameters, &mut self.output).map_err(|error| broken(&error))?;
        self.flush().await?;
        let mut scram = None;
        loop {
            match self.message().await? {
                Message::ReadyForQuery(_) => return Ok(()),
                Message::BackendKeyData(key) => {
                    (self.process_id, self.secret_key) = (key.process_id(), key.secret_key());
                }
                Message::ErrorResponse(error) => return Err(WireError { code: "login", ..server_error(error.fields(), "") }),
                message => self.authenticate(message, settings, &mut scram).await?,
            }
        }
    }

    async fn authenticate(
        &mut self,
        message: Message,
        settings: &Settings,
        scram: &mut Option<ScramSha256>,
    ) -> Result<(), WireError> {
        let password = || {
            settings.password.as_deref().ok_or_else(|| WireError {
                code: "login",
                message: "the server asks for a password, and the profile has none".to_string(),
                position: None,
                help: Some("set `password` in the profile, such as \"{{ env_var('DBT_ENV_SECRET_PASSWORD') }}\"".to_string()),
            })
        };
        let wrong = |error: io::Error| WireError { code: "login", ..refused(error.to_string()) };
        match message {
            Message::AuthenticationCleartextPassword => {
                frontend::password_message(password()?.as_bytes(), &mut self.output).map_err(wrong)?;
            }
            Message::AuthenticationMd5Password(body) => {
                let hash = md5_hash(settings.user.as_bytes(), password()?.as_bytes(), body.salt());
                frontend::password_message(hash.as_bytes(), &mut self.output).map_err(wrong)?;
            }
            Message::AuthenticationSasl(_) => {
                let started = ScramSha256::new(password()?.as_bytes(), ChannelBinding::unsupported());
                frontend::sasl_initial_response(SCRAM_SHA_256, started.message(), &mut self.output).map_err(wrong)?;
                *scram = Some(started);
            }
            Message::AuthenticationSaslContinue(body) => {
                let Some(scram) = scram else { return Err(refused("the server's login is out of order".to_string())) };
                scram.update(body.data()).map_err(wrong)?;
                frontend::sasl_response(scram.message(), &mut self.output).map_err(wrong)?;
            }
            Message::AuthenticationSaslFinal(body) => {
                let Some(scram) = scram else { return Err(refused("the server's login is out of order".to_string())) };
                return scram.finish(body.data()).map_err(wrong);
            }
            Message::AuthenticationGss | Message::AuthenticationSspi | Message::AuthenticationKerberosV5 => {
                let message = "the server asks for a way to log in that is not supported: GSSAPI or SSPI";
                return Err(WireError { code: "login", ..refused(message.to_string()) });
            }
            _ => return Ok(()),
        }
        self.flush().await
    }

    /// Runs one or more statements; the last one's result.
    pub async fn query(&mut self, sql: &str) -> Result<Reply, WireError> {
        self.put(sql)?;
        self.flush().await?;
        self.result(sql).await
    }

    /// `begin`, then the statements, in one trip.
    pub async fn begin_and_query(&mut self, sql: &str) -> Result<Reply, WireError> {
        self.put("begin")?;
        self.put(sql)?;
        self.flush().await?;
        let begun = self.result("begin").await;
        let reply = self.result(sql).await;
        begun.and(reply)
    }

    /// `copy … from stdin` with rows in its text format.
    pub async fn copy_in(&mut self, sql: &str, rows: &[Vec<Option<String>>]) -> Result<Reply, WireError> {
        const CHUNK_BYTES: usize = 256 * 1024;
        self.put(sql)?;
        self.flush().await?;
        loop {
            match self.message().await? {
                Message::CopyInResponse(_) => break,
                Message::ErrorResponse(error) => {
                    let error = server_error(error.fields(), sql);
                    self.result(sql).await?;
                    return Err(error);
                }
                _ => {}
            }
        }
        let mut chunk = Vec::with_capacity(CHUNK_BYTES + 4096);
        for row in rows {
            copy_line(row, &mut chunk);
            if chunk.len() >= CHUNK_BYTES {
                self.put_copy(&mut chunk)?;
                self.flush().await?;
            }
        }
        self.put_copy(&mut chunk)?;
        frontend::copy_done(&mut self.output);
        self.flush().await?;
        self.result(sql).await
    }

    fn put_copy(&mut self, chunk: &mut Vec<u8>) -> Result<(), WireError> {
        if !chunk.is_empty() {
            frontend::CopyData::new(chunk.as_slice()).map_err(|error| broken(&error))?.write(&mut self.output);
            chunk.clear();
        }
        Ok(())
    }

    fn put(&mut self, sql: &str) -> Result<(), WireError> {
        frontend::query(sql, &mut self.output).map_err(|_| WireError {
            code: "sql-run",
            message: "a statement cannot hold the character NUL".to_string(),
            position: None,
            help: None,
        })
    }

    async fn flush(&mut self) -> Result<(), WireError> {
        self.stream.write_all(&self.output).await.map_err(|error| broken(&error))?;
        self.output.clear();
        self.stream.flush().await.map_err(|error| broken(&error))
    }

    async fn message(&mut self) -> Result<Message, WireError> {
        loop {
            if let Some(message) = Message::parse(&mut self.input).map_err(|error| broken(&error))? {
                if let Message::ReadyForQuery(body) = &message {
                    self.status = body.status();
                }
                return Ok(message);
            }
            self.fill().await?;
        }
    }

    /// Everything up to where the server is ready again.
    async fn result(&mut self, sql: &str) -> Result<Reply, WireError> {
        let mut reply = Reply::default();
        let mut complete = true;
        let mut failure = None;
        loop {
            match self.message().await? {
                Message::ReadyForQuery(_) => return failure.map_or(Ok(reply), Err),
                Message::RowDescription(body) => {
                    reply = Reply {
                        fields: body.fields().map(|field| Ok(field_of(&field))).collect().map_err(|e| broken(&e))?,
                        ..Reply::default()
                    };
                    complete = false;
                }
                Message::DataRow(body) => {
                    let text = |range: Option<std::ops::Range<usize>>| {
                        Ok(range.map(|range| String::from_utf8_lossy(&body.buffer()[range]).into_owned()))
                    };
                    reply.rows.push(body.ranges().map(text).collect().map_err(|error| broken(&error))?);
                }
                Message::CommandComplete(body) => {
                    if complete {
                        reply = Reply::default();
                    }
                    reply.tag = body.tag().map_err(|error| broken(&error))?.to_string();
                    complete = true;
                }
                Message::ErrorResponse(body) => failure = Some(server_error(body.fields(), sql)),
                // `copy … from stdin` written as a statement: there is nothing to send.
                Message::CopyInResponse(_) => {
                    frontend::copy_fail("no data", &mut self.output).map_err(|error| broken(&error))?;
                    self.flush().await?;
                }
                _ => {}
            }
        }
    }
}

/// Copying out, and replication: both are streams of `CopyData`.
impl Wire {
    /// Begins `copy … to stdout` or `START_REPLICATION …`; what follows is read by [`Self::copied`] or as [`Self::chunks`].
    pub async fn begin_copy(&mut self, sql: &str) -> Result<(), WireError> {
        const COPY_BOTH_RESPONSE: u8 = b'W';
        self.put(sql)?;
        self.flush().await?;
        loop {
            let (tag, frame) = self.frame().await?;
            if matches!(tag, b'H' | COPY_BOTH_RESPONSE) {
                return Ok(());
            }
            if tag == b'E' {
                let mut frame = BytesMut::from(&frame[..]);
                let Ok(Some(Message::ErrorResponse(body))) = Message::parse(&mut frame) else {
                    return Err(refused("the server's error cannot be read".to_string()));
                };
                let error = server_error(body.fields(), sql);
                // A server that is going away may not get to say that it is ready.
                let _ = self.result(sql).await;
                return Err(error);
            }
        }
    }

    /// The next piece of `copy … to stdout`; `None` at its end, where the connection is ready again.
    pub async fn copied(&mut self) -> Result<Option<Bytes>, WireError> {
        match self.message().await? {
            Message::CopyData(body) => Ok(Some(body.into_bytes())),
            Message::CopyDone => self.result("").await.map(|_| None),
            Message::ErrorResponse(body) => {
                let error = server_error(body.fields(), "");
                let _ = self.result("").await;
                Err(error)
            }
            _ => Ok(Some(Bytes::new())),
        }
    }

    /// Every whole piece of a replication stream that has arrived, at least one. Giving up the wait loses nothing: what was read
    /// stays in the buffer.
    pub async fn chunks(&mut self) -> Result<Vec<Bytes>, WireError> {
        let mut pieces = Vec::new();
        loop {
            while let Some(message) = Message::parse(&mut self.input).map_err(|error| broken(&error))? {
                match message {
                    Message::CopyData(body) => pieces.push(body.into_bytes()),
                    Message::ErrorResponse(body) => return Err(server_error(body.fields(), "")),
                    Message::CopyDone => return Err(broken(&io::Error::other("the server ended the stream"))),
                    _ => {}
                }
            }
            if !pieces.is_empty() {
                return Ok(pieces);
            }
            self.fill().await?;
        }
    }

    /// Sends one piece to the server while a replication stream runs.
    pub async fn send_piece(&mut self, piece: &[u8]) -> Result<(), WireError> {
        frontend::CopyData::new(piece).map_err(|error| broken(&error))?.write(&mut self.output);
        self.flush().await
    }

    /// One message as its tag and all its bytes, whatever it is.
    async fn frame(&mut self) -> Result<(u8, Bytes), WireError> {
        const HEADER_BYTES: usize = 5;
        loop {
            if self.input.len() >= HEADER_BYTES {
                let length = u32::from_be_bytes([self.input[1], self.input[2], self.input[3], self.input[4]]);
                let whole = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(1);
                if self.input.len() >= whole {
                    let frame = self.input.split_to(whole).freeze();
                    return Ok((frame[0], frame));
                }
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<(), WireError> {
        let read = self.stream.read_buf(&mut self.input).await.map_err(|error| broken(&error))?;
        if read == 0 {
            return Err(broken(&io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed it")));
        }
        Ok(())
    }
}

fn field_of(field: &postgres_protocol::message::backend::Field<'_>) -> Field {
    Field { name: field.name().to_string(), type_oid: field.type_oid(), modifier: field.type_modifier() }
}

/// One row in the text format of `copy`.
fn copy_line(row: &[Option<String>], line: &mut Vec<u8>) {
    for (index, value) in row.iter().enumerate() {
        if index > 0 {
            line.push(b'\t');
        }
        let Some(value) = value else {
            line.extend_from_slice(b"\\N");
            continue;
        };
        for byte in value.bytes() {
            match byte {
                b'\\' => line.extend_from_slice(b"\\\\"),
                b'\t' => line.extend_from_slice(b"\\t"),
                b'\n' => line.extend_from_slice(b"\\n"),
                b'\r' => line.extend_from_slice(b"\\r"),
                other => line.push(other),
            }
        }
    }
    line.push(b'\n');
}

/// The server's error with its detail, its place in the statement and its hint.
fn server_error(mut fields: ErrorFields<'_>, sql: &str) -> WireError {
    let mut error = WireError { code: "sql-run", message: String::new(), position: None, help: None };
    let (mut detail, mut context) = (None, None);
    while let Ok(Some(field)) = fields.next() {
        let text = String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            b'M' => error.message = text,
            b'D' => detail = Some(text),
            b'H' => error.help = Some(text),
            b'W' => context = Some(text),
            b'P' => error.position = text.parse().ok().and_then(|position| place(sql, position)),
            _ => {}
        }
    }
    if let Some(detail) = detail {
        error.message.push_str(&format!("\nDETAIL:  {detail}"));
    }
    if let Some(context) = context {
        error.message.push_str(&format!("\nCONTEXT:  {context}"));
    }
    error
}

/// The line and column of a character, counted from 1.
fn place(sql: &str, character: usize) -> Option<(u32, u32)> {
    let before: String = sql.chars().take(character.checked_sub(1)?).collect();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    Some((u32::try_from(line).ok()?, u32::try_from(column).ok()?))
}

async fn stream(settings: &Settings, mode: TlsMode) -> Result<Box<dyn Stream>, WireError> {
    let Settings { host, port, .. } = settings;
    let unreachable = |error: io::Error| refused(format!("connection to server at \"{host}\", port {port} failed: {error}"));
    #[cfg(unix)]
    if host.starts_with('/') {
        return Ok(Box::new(tokio::net::UnixStream::connect(socket_path(host, *port)).await.map_err(unreachable)?));
    }
    let tcp = TcpStream::connect((host.as_str(), *port)).await.map_err(unreachable)?;
    tcp.set_nodelay(true).map_err(unreachable)?;
    if let Some(idle) = settings.keepalives_idle {
        let keepalive = socket2::TcpKeepalive::new().with_time(idle);
        socket2::SockRef::from(&tcp).set_tcp_keepalive(&keepalive).map_err(unreachable)?;
    }
    if mode <= TlsMode::Allow {
        return Ok(Box::new(tcp));
    }
    secured(tcp, settings, mode).await
}

/// Asks the server for TLS; plain where it has none and the mode allows that.
async fn secured(mut tcp: TcpStream, settings: &Settings, mode: TlsMode) -> Result<Box<dyn Stream>, WireError> {
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    tcp.write_all(&request).await.map_err(|error| broken(&error))?;
    let mut answer = [0];
    tcp.read_exact(&mut answer).await.map_err(|error| broken(&error))?;
    if answer[0] != b'S' {
        return match mode {
            TlsMode::Prefer => Ok(Box::new(tcp)),
            _ => Err(refused("server does not support SSL, but SSL was required".to_string())),
        };
    }
    let name = ServerName::try_from(settings.host.clone()).map_err(|error| refused(format!("{}: {error}", settings.host)))?;
    let secured = tls::connector(settings)?.connect(name, tcp).await;
    Ok(Box::new(secured.map_err(|error| refused(format!("SSL error: {error}")))?))
}

impl CancelKey {
    /// Asks the server to give up what the connection runs. Blocks for a moment: it is called where nothing can be awaited.
    pub fn cancel(&self) {
        const PATIENCE: Duration = Duration::from_millis(500);
        let mut request = BytesMut::new();
        frontend::cancel_request(self.process_id, self.secret_key, &mut request);
        // The server does not answer; a request that does not arrive leaves the statement to its end.
        #[cfg(unix)]
        if self.host.starts_with('/') {
            let socket = std::os::unix::net::UnixStream::connect(socket_path(&self.host, self.port));
            let _ = socket.and_then(|mut socket| std::io::Write::write_all(&mut socket, &request));
            return;
        }
        let addresses = std::net::ToSocketAddrs::to_socket_addrs(&(self.host.as_str(), self.port));
        for address in addresses.into_iter().flatten() {
            if let Ok(mut tcp) = std::net::TcpStream::connect_timeout(&address, PATIENCE) {
                let _ = std::io::Write::write_all(&mut tcp, &request);
                return;
            }
        }
    }
}

/// The file of a server's socket in the folder `host`.
#[cfg(unix)]
fn socket_path(host: &str, port: u16) -> String {
    format!("{}/.s.PGSQL.{port}", host.trim_end_matches('/'))
}
