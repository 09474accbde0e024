//! A server on free ports with a data folder of its own, and ways to talk to it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use api::client::{Client, ClientError};
use api::{ProblemCode, PublishRequest};
use server::{Server, Settings};
use sha2::Digest;

/// A data folder that is gone after the test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("bellwether-http-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        drop(std::fs::remove_dir_all(&path));
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn settings(&self) -> Settings {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Settings { data: self.0.clone(), http: free, coap: free, ..Settings::default() }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A running server.
pub(crate) struct Place {
    pub(crate) server: Server,
}

impl Place {
    pub(crate) async fn start(settings: Settings) -> Self {
        Self { server: Server::start(settings).await.expect("the server starts") }
    }

    pub(crate) async fn stop(self) {
        let stopping = Instant::now();
        self.server.stop().await;
        assert!(stopping.elapsed() < Duration::from_secs(5), "stopping takes too long");
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&format!("http://{}", self.server.http())).expect("an address")
    }

    /// Calls the server as the command line does, on a thread that may block.
    pub(crate) async fn call<R: Send + 'static>(
        &self,
        call: impl FnOnce(&Client) -> Result<R, ClientError> + Send + 'static,
    ) -> R {
        self.tried(call).await.expect("the server does it")
    }

    /// The same for what the server refuses.
    pub(crate) async fn refused<R: std::fmt::Debug + Send + 'static>(
        &self,
        call: impl FnOnce(&Client) -> Result<R, ClientError> + Send + 'static,
    ) -> api::Problem {
        match self.tried(call).await {
            Err(ClientError::Refused(problem)) => *problem,
            other => panic!("{other:?} is no refusal"),
        }
    }

    async fn tried<R: Send + 'static>(
        &self,
        call: impl FnOnce(&Client) -> Result<R, ClientError> + Send + 'static,
    ) -> Result<R, ClientError> {
        let client = self.client();
        tokio::task::spawn_blocking(move || call(&client)).await.expect("no panic")
    }

    /// Sends a request as it is and returns the answer. The Host header, `Connection: close` and
    /// the length are added.
    pub(crate) async fn raw(&self, head: &str, body: &str) -> Raw {
        let address = self.server.http();
        let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
        let mut text = format!("{line} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.to_ascii_lowercase().contains("host:") {
            text += &format!("Host: {address}\r\n");
        }
        for header in headers.lines() {
            text += &format!("{header}\r\n");
        }
        if !headers.to_ascii_lowercase().contains("content-length:") && !body.is_empty() {
            text += &format!("Content-Length: {}\r\n", body.len());
        }
        text += &format!("\r\n{body}");
        tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(address).expect("it listens");
            stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket");
            stream.write_all(text.as_bytes()).expect("it reads");
            let mut answer = Vec::new();
            // The end of a refused upload may be a reset; what was answered counts.
            drop(stream.read_to_end(&mut answer));
            Raw::parse(&String::from_utf8_lossy(&answer))
        })
        .await
        .expect("no panic")
    }

    /// Uploads an image and publishes the release of it.
    pub(crate) async fn publish(&self, version: &str, start: bool) -> api::PublishResponse {
        let image = image(version);
        let manifest = firmware(version, &image);
        self.call(move |client| {
            client.upload(&digest(&image), image.len() as u64, image.as_slice())?;
            client.publish(&request(manifest, start))
        })
        .await
    }
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Raw {
    fn parse(answer: &str) -> Self {
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map_or("", |(_, value)| value)
    }

    /// The problem that this must be.
    pub(crate) fn problem(&self) -> api::Problem {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let problem: api::Problem = serde_json::from_str(&self.body).expect("a problem");
        assert_eq!(problem.status, self.status);
        assert_ne!(problem.code, ProblemCode::Internal, "{problem}");
        problem
    }
}

pub(crate) fn request(manifest: String, start: bool) -> PublishRequest {
    PublishRequest {
        manifest,
        format: api::ManifestFormat::Auto,
        start,
        policy: None,
        by: Some("tests".to_owned()),
    }
}

pub(crate) fn image(version: &str) -> Vec<u8> {
    format!("image of {version} ").repeat(200).into_bytes()
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    model::Sha256(sha2::Sha256::digest(bytes).into()).to_string()
}

pub(crate) fn firmware(version: &str, image: &[u8]) -> String {
    format!(
        r#"manifest = 1

[release]
name    = "ws200-firmware"
version = "{version}"
class   = "minor"

[[target]]
manufacturer = "ACME"
model        = "WS-200"

[[artifact]]
size   = {}
sha256 = "{}"
file   = "app.bin"
"#,
        image.len(),
        digest(image)
    )
}

pub(crate) fn configuration(version: &str, lifetime_s: u64) -> String {
    format!(
        r#"manifest = 1

[release]
name    = "ws200-reporting"
version = "{version}"
class   = "minor"

[[target]]
manufacturer = "ACME"
model        = "WS-200"

[[write]]
path  = "/1/0/1"
value = {lifetime_s}
"#
    )
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so().await {
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}
