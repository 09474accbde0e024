//! Starting and stopping a server.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use engine::Engine;
use model::Snapshot;
use store::{ArtifactError, Artifacts, DataDir, Knowledge, SqliteReader, StoreError};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::watch;

use crate::clock::Clock;
use crate::driver::{self, Condition, Handle, Parts};
use crate::http::{self, Shared};
use crate::journal::Journal;
use crate::knowledge;
use crate::port;
use crate::settings::Settings;
use crate::slowdown::Late;

/// A running server.
#[derive(Debug)]
pub struct Server {
    http: SocketAddr,
    coap: SocketAddr,
    handle: Handle,
    stop: watch::Sender<bool>,
    condition: watch::Receiver<Condition>,
    driver: tokio::task::JoinHandle<()>,
    listener: tokio::task::JoinHandle<()>,
    store: JoinHandle<()>,
}

/// Why a server did not start. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder or what is in it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An image of a release is missing or damaged (I22).
    #[error(
        "the image of {release} cannot be used: {source}; publish it again as a new version, or put the file back"
    )]
    Image {
        /// Its release.
        release: String,
        /// What is wrong.
        source: ArtifactError,
    },
    /// An address is taken or not ours.
    #[error("{what} cannot listen on {address}: {cause}; give another address with {flag}")]
    Address {
        /// Who wanted it.
        what: &'static str,
        /// The address.
        address: SocketAddr,
        /// The system's words.
        cause: String,
        /// The flag that changes it.
        flag: &'static str,
    },
}

impl Server {
    /// Listens, opens the data folder and restores what is known.
    ///
    /// # Errors
    /// [`StartError`], each in one sentence that says what would help.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        // The ports come first: a server that gets none must not leave a data folder behind.
        let (sockets, listener) = match bind(&settings).await {
            Ok(bound) => bound,
            // Most likely the same command runs already; the folder tells which process it is.
            Err(error) => {
                return Err(DataDir::check_free(&settings.data).err().map_or(error, Into::into));
            }
        };
        let dir = DataDir::open(&settings.data)?;
        let mut store = dir.store(&store::Options::default())?;
        let artifacts = dir.artifacts(settings.artifact_bytes_max)?;
        let snapshot = store.load()?;
        let reader = store.reader()?;
        let local = sockets.first().and_then(|socket| socket.local_addr().ok());
        let coap = local.unwrap_or(settings.coap);
        let http = listener.local_addr().unwrap_or(settings.http);

        let clock = Clock::start();
        let journal = Arc::new(Journal::new(clock.now()));
        let engine = restore(&settings, snapshot, &artifacts, coap, &clock)?;
        journal.learn(engine.fleet());
        let (batches, reports, store_thread) = knowledge::spawn(store);
        let (stop, stopped) = watch::channel(false);
        let late = Late::new(settings.slowdown.clone());
        let parts =
            Parts { engine, clock, sockets, batches, reports, journal: Arc::clone(&journal), late };
        let (handle, condition, driver) = driver::spawn(parts, stopped.clone());
        journal.announce(&format!("http://{http}/"), &format!("coap://{coap}"), clock.now());
        let shared = Shared::new(
            Arc::new(settings),
            handle.clone(),
            journal,
            artifacts,
            reader,
            condition.clone(),
        );
        let listener = tokio::spawn(http::serve(listener, shared, stopped));
        Ok(Self { http, coap, handle, stop, condition, driver, listener, store: store_thread })
    }

    /// Where the console and the HTTP interface listen.
    #[must_use]
    pub const fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where devices are listened to.
    #[must_use]
    pub const fn coap(&self) -> SocketAddr {
        self.coap
    }

    /// Asks the driver.
    #[must_use]
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Waits until the server cannot go on by itself. Returns why.
    pub async fn broken(&mut self) -> StoreError {
        loop {
            let fatal = {
                let condition = self.condition.borrow_and_update();
                condition.store.clone().filter(|_| condition.fatal)
            };
            if let Some(error) = fatal {
                return error;
            }
            if self.condition.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Stops: no more datagrams and requests, what is in memory is written, the folder is freed.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        drop(self.driver.await);
        drop(self.listener.await);
        drop(tokio::task::spawn_blocking(move || self.store.join()).await);
    }
}

/// Builds the engine with the images of every release that devices may still be sent.
fn restore(
    settings: &Settings,
    snapshot: Snapshot,
    artifacts: &Artifacts,
    coap: SocketAddr,
    clock: &Clock,
) -> Result<Engine, StartError> {
    let images: Vec<_> = snapshot
        .releases
        .iter()
        .filter_map(|release| {
            let artifact = release.manifest.artifact.first()?;
            let section = &release.manifest.release;
            Some((artifact.sha256, format!("{} {}", section.name, section.version)))
        })
        .collect();
    let mut engine = Engine::new(settings.engine(coap), snapshot, random_seed(), clock.now());
    for (sha256, release) in images {
        let bytes =
            artifacts.read(sha256).map_err(|source| StartError::Image { release, source })?;
        engine.add_image(sha256, bytes.into());
    }
    Ok(engine)
}

async fn bind(settings: &Settings) -> Result<(Vec<UdpSocket>, TcpListener), StartError> {
    let sockets = port::bind(settings.coap, settings.coap_receive_buffer_bytes)
        .map_err(|error| address_error("the device server", settings.coap, &error, "--coap"))?;
    let listener = TcpListener::bind(settings.http)
        .await
        .map_err(|error| address_error("the console", settings.http, &error, "--http"))?;
    Ok((sockets, listener))
}

fn address_error(
    what: &'static str,
    address: SocketAddr,
    error: &io::Error,
    flag: &'static str,
) -> StartError {
    let cause = match error.kind() {
        io::ErrorKind::AddrInUse => "the port is used by another program".to_owned(),
        io::ErrorKind::PermissionDenied => "this user may not use the port".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine does not have the address".to_owned(),
        _ => error.to_string(),
    };
    StartError::Address { what, address, cause, flag }
}

/// A seed nobody outside can guess: tokens and message identifiers come from it.
pub(crate) fn random_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    // The standard library keys its hasher from the operating system's random source.
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

/// The store's second connection, shared by HTTP handlers.
pub(crate) type SharedReader = Arc<Mutex<SqliteReader>>;
