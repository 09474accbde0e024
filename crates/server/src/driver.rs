//! The driver: one task that owns the engine, the clock and the CoAP socket.
//!
//! It reacts to four things, a datagram, an order, a commit and a deadline, and after each hands
//! out what the engine wants done. It carries no decision of its own.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc as blocking;

use coap::Transmit;
use engine::{AskError, AskToken, Batch, Engine, Event};
use fleet::{Answer, Ask};
use model::{DeviceId, Time};
use store::StoreError;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot, watch};

use crate::clock::Clock;
use crate::inbox::Inbox;
use crate::journal::Journal;
use crate::knowledge::Report;
use crate::slowdown::Late;

/// Orders waiting for the driver; beyond that, callers wait their turn.
const ORDERS_MAX: usize = 1_024;
/// Datagrams handled before anything else gets its turn.
const DATAGRAMS_PER_TURN: usize = 256;
/// Datagrams the kernel would not take at once; older ones give way, CoAP repeats them.
const UNSENT_MAX: usize = 65_536;

type Order = Box<dyn FnOnce(&mut Driver) + Send>;

/// Asks the driver; cheap to clone.
#[derive(Clone)]
pub struct Handle {
    orders: mpsc::Sender<Order>,
    clock: Clock,
}

/// Why the driver cannot serve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// The server is stopping.
    #[error("the server is stopping; try again when it runs")]
    Stopping,
    /// The store takes no writes, so nothing can be promised. Reading goes on.
    #[error("nothing can be written: {0}")]
    Store(StoreError),
    /// The order was taken just before it turned out that nothing can be written.
    #[error(
        "the order waits to be written, because {}; mend that and it takes effect, end the server and it never did",
        cause(.0)
    )]
    Unwritten(StoreError),
}

/// What is wrong, without the advice that follows it.
fn cause(error: &StoreError) -> String {
    let text = error.to_string();
    text.split("; ").next().unwrap_or(&text).to_owned()
}

/// Why an order to a device brought no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderFailed {
    /// It was not sent.
    #[error(transparent)]
    Refused(#[from] AskError),
    /// The driver cannot serve.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The device did not answer in time.
    #[error("the device did not answer in time")]
    Timeout,
}

/// Whether the store takes writes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Condition {
    /// The trouble, if any.
    pub(crate) store: Option<StoreError>,
    /// Set when the server must stop because of it.
    pub(crate) fatal: bool,
}

impl Handle {
    /// The time as the engine sees it.
    #[must_use]
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// When the server started.
    #[must_use]
    pub const fn started(&self) -> Time {
        self.clock.started()
    }

    /// Looks at the engine.
    ///
    /// # Errors
    /// [`Unavailable::Stopping`].
    pub async fn view<R: Send + 'static>(
        &self,
        look: impl FnOnce(&Engine, Time) -> R + Send + 'static,
    ) -> Result<R, Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.send(Box::new(move |driver| {
            let now = driver.clock.now();
            // A caller that has gone away does not want the answer.
            drop(reply.send(look(&driver.engine, now)));
        }))
        .await?;
        answer.await.map_err(|_| Unavailable::Stopping)
    }

    /// Gives the engine an order, and returns when what it recorded is durable (I15).
    ///
    /// # Errors
    /// [`Unavailable`]; the order was then not given.
    pub async fn order<R: Send + 'static>(
        &self,
        order: impl FnOnce(&mut Engine, Time) -> R + Send + 'static,
    ) -> Result<R, Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.send(Box::new(move |driver| driver.take_order(order, reply))).await?;
        answer.await.map_err(|_| Unavailable::Stopping)?
    }

    /// Gives an order that stops something: it is taken even when nothing can be written, because
    /// stopping must not wait for a disk.
    ///
    /// # Errors
    /// [`Unavailable::Stopping`].
    pub async fn order_stop<R: Send + 'static>(
        &self,
        order: impl FnOnce(&mut Engine, Time) -> R + Send + 'static,
    ) -> Result<R, Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.send(Box::new(move |driver| {
            let now = driver.clock.now();
            let result = order(&mut driver.engine, now);
            if driver.condition.borrow().store.is_some() {
                drop(reply.send(Ok(result)));
            } else {
                driver.when_durable(move |_| drop(reply.send(Ok(result))));
            }
        }))
        .await?;
        answer.await.map_err(|_| Unavailable::Stopping)?
    }

    /// Asks a device and waits for its answer.
    ///
    /// # Errors
    /// [`OrderFailed`].
    pub async fn ask_device(
        &self,
        device: DeviceId,
        ask: Ask,
        wait: std::time::Duration,
    ) -> Result<Answer, OrderFailed> {
        let (reply, answer) = oneshot::channel();
        self.send(Box::new(move |driver| driver.take_ask(device, ask, reply))).await?;
        match tokio::time::timeout(wait, answer).await {
            Err(_) => Err(OrderFailed::Timeout),
            Ok(Err(_)) => Err(Unavailable::Stopping.into()),
            Ok(Ok(answer)) => answer.map_err(Into::into),
        }
    }

    async fn send(&self, order: Order) -> Result<(), Unavailable> {
        self.orders.send(order).await.map_err(|_| Unavailable::Stopping)
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

/// Told when what an order recorded is durable, or that this may take long.
type Waiting = Box<dyn FnOnce(Result<(), Unavailable>) + Send>;

/// The state of the task.
pub(crate) struct Driver {
    engine: Engine,
    clock: Clock,
    /// The one that sends; all receive.
    socket: Arc<UdpSocket>,
    inbox: Arc<Inbox>,
    batches: blocking::Sender<Batch>,
    journal: Arc<Journal>,
    late: Late,
    condition: watch::Sender<Condition>,
    /// Answers to orders, by the batch that makes them durable.
    receipts: BTreeMap<u64, Vec<Waiting>>,
    asked: BTreeMap<AskToken, oneshot::Sender<Result<Answer, AskError>>>,
    unsent: VecDeque<Transmit>,
    committed: u64,
}

/// What the driver is made of.
pub(crate) struct Parts {
    pub(crate) engine: Engine,
    pub(crate) clock: Clock,
    /// The sockets on the CoAP port.
    pub(crate) sockets: Vec<UdpSocket>,
    pub(crate) batches: blocking::Sender<Batch>,
    pub(crate) reports: mpsc::UnboundedReceiver<Report>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) late: Late,
}

/// Starts the task. It ends when `stop` turns true or the store breaks.
pub(crate) fn spawn(
    parts: Parts,
    stop: watch::Receiver<bool>,
) -> (Handle, watch::Receiver<Condition>, tokio::task::JoinHandle<()>) {
    let (orders, incoming) = mpsc::channel(ORDERS_MAX);
    let (condition, conditions) = watch::channel(Condition::default());
    let handle = Handle { orders, clock: parts.clock };
    let sockets: Vec<_> = parts.sockets.into_iter().map(Arc::new).collect();
    let inbox = Arc::new(Inbox::default());
    for socket in &sockets {
        tokio::spawn(Inbox::fill(Arc::clone(&inbox), Arc::clone(socket), stop.clone()));
    }
    let driver = Driver {
        engine: parts.engine,
        clock: parts.clock,
        socket: sockets.into_iter().next().expect("a port has a socket at least"),
        inbox,
        batches: parts.batches,
        journal: parts.journal,
        late: parts.late,
        condition,
        receipts: BTreeMap::new(),
        asked: BTreeMap::new(),
        unsent: VecDeque::new(),
        committed: 0,
    };
    let task = tokio::spawn(driver.run(incoming, parts.reports, stop));
    (handle, conditions, task)
}

impl Driver {
    async fn run(
        mut self,
        mut orders: mpsc::Receiver<Order>,
        mut reports: mpsc::UnboundedReceiver<Report>,
        mut stop: watch::Receiver<bool>,
    ) {
        let inbox = Arc::clone(&self.inbox);
        self.hand_out();
        loop {
            let deadline = self.deadline();
            tokio::select! {
                () = inbox.ready() => self.receive(),
                writable = self.socket.writable(), if !self.unsent.is_empty() => {
                    if writable.is_ok() {
                        self.send_unsent();
                    }
                }
                Some(order) = orders.recv() => order(&mut self),
                Some(report) = reports.recv() => {
                    if !self.take_report(report) {
                        break;
                    }
                }
                () = sleep_until(deadline), if deadline.is_some() => self.wake(),
                changed = stop.changed() => {
                    if changed.is_err() || *stop.borrow() {
                        break;
                    }
                }
            }
            self.hand_out();
        }
        self.finish(&mut reports).await;
    }

    /// Takes datagrams, a bounded number at a time so that orders and commits get their turn.
    fn receive(&mut self) {
        for (peer, datagram) in self.inbox.take(DATAGRAMS_PER_TURN) {
            self.take_datagram(peer, &datagram);
        }
    }

    fn take_datagram(&mut self, peer: SocketAddr, datagram: &[u8]) {
        let now = self.clock.now();
        if self.late.is_off() {
            self.engine.handle_datagram(peer, datagram, now);
            self.hand_out_events(now);
        } else {
            self.late.hold(peer, datagram, now);
        }
    }

    fn wake(&mut self) {
        let now = self.clock.now();
        while let Some((peer, datagram)) = self.late.due(now) {
            self.engine.handle_datagram(peer, &datagram, now);
        }
        self.engine.handle_timeout(now);
    }

    fn deadline(&self) -> Option<tokio::time::Instant> {
        let next = [self.engine.poll_timeout(), self.late.next()].into_iter().flatten().min()?;
        // A century is for ever; adding more would overflow the clock of the system.
        let horizon = self.clock.now() + std::time::Duration::from_secs(100 * 365 * 86_400);
        Some(self.clock.instant(next.min(horizon)))
    }

    fn take_report(&mut self, report: Report) -> bool {
        match report {
            Report::Committed(batch) => {
                self.committed = batch;
                if self.condition.borrow().store.is_some() {
                    tracing::info!("the store takes writes again");
                    self.condition.send_replace(Condition::default());
                }
                self.engine.handle_committed(batch, self.clock.now());
                let later = self.receipts.split_off(&(batch + 1));
                for waiting in std::mem::replace(&mut self.receipts, later).into_values().flatten()
                {
                    waiting(Ok(()));
                }
                true
            }
            Report::Delayed(error) => {
                if self.condition.borrow().store.is_none() {
                    tracing::error!("{error}; nothing is sent to devices until this is mended");
                    self.condition.send_replace(Condition { store: Some(error), fatal: false });
                } else {
                    // Not a passing moment: nobody is kept waiting for somebody to free the disk.
                    for waiting in std::mem::take(&mut self.receipts).into_values().flatten() {
                        waiting(Err(Unavailable::Unwritten(error.clone())));
                    }
                }
                true
            }
            Report::Broken(error) => {
                tracing::error!("{error}");
                self.condition.send_replace(Condition { store: Some(error), fatal: true });
                false
            }
        }
    }

    fn take_order<R: Send + 'static>(
        &mut self,
        order: impl FnOnce(&mut Engine, Time) -> R,
        reply: oneshot::Sender<Result<R, Unavailable>>,
    ) {
        let trouble = self.condition.borrow().store.clone();
        if let Some(error) = trouble {
            drop(reply.send(Err(Unavailable::Store(error))));
            return;
        }
        let result = order(&mut self.engine, self.clock.now());
        self.when_durable(move |written| drop(reply.send(written.map(|()| result))));
    }

    /// Answers once everything recorded so far is durable (I15).
    fn when_durable(&mut self, answer: impl FnOnce(Result<(), Unavailable>) + Send + 'static) {
        let receipt = self.engine.receipt();
        if receipt <= self.committed {
            answer(Ok(()));
        } else {
            self.receipts.entry(receipt).or_default().push(Box::new(answer));
        }
    }

    fn take_ask(
        &mut self,
        device: DeviceId,
        ask: Ask,
        reply: oneshot::Sender<Result<Answer, AskError>>,
    ) {
        match self.engine.order(device, ask, self.clock.now()) {
            Ok(token) => {
                self.asked.insert(token, reply);
            }
            Err(error) => drop(reply.send(Err(error))),
        }
    }

    /// Hands out everything the engine wants done.
    fn hand_out(&mut self) {
        if let Some(batch) = self.engine.poll_batch() {
            // A closed channel means that the store broke; its report is on the way.
            drop(self.batches.send(batch));
        }
        while let Some(transmit) = self.engine.poll_transmit() {
            self.unsent.push_back(transmit);
        }
        self.send_unsent();
        self.hand_out_events(self.clock.now());
    }

    fn hand_out_events(&mut self, now: Time) {
        while let Some(event) = self.engine.poll_event() {
            if let Event::Answered { token, answer } = event {
                if let Some(reply) = self.asked.remove(&token) {
                    drop(reply.send(Ok(answer)));
                }
                continue;
            }
            self.notice_progress(&event);
            self.journal.note(&self.engine, &event, now);
        }
    }

    fn notice_progress(&mut self, event: &Event) {
        if self.late.is_off() {
            return;
        }
        let Event::Operation(operations::Event::ElementGranted { operation, element, .. }) = event
        else {
            return;
        };
        if let Some(counts) = self.engine.loops().counts(*operation) {
            self.late.progressed(*operation, counts.progress(), *element);
        }
    }

    fn send_unsent(&mut self) {
        while let Some(transmit) = self.unsent.front() {
            match self.socket.try_send_to(&transmit.datagram, transmit.peer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // Sent, or never to be sent to that address: CoAP repeats what matters.
                Ok(_) | Err(_) => self.unsent.pop_front(),
            };
        }
        while self.unsent.len() > UNSENT_MAX {
            self.unsent.pop_front();
        }
    }

    /// Writes what is only in memory before the end.
    async fn finish(mut self, reports: &mut mpsc::UnboundedReceiver<Report>) {
        self.engine.flush(self.clock.now());
        let last = self.engine.receipt();
        while self.committed < last && !self.condition.borrow().fatal {
            if let Some(batch) = self.engine.poll_batch() {
                drop(self.batches.send(batch));
            }
            match reports.recv().await {
                Some(report @ (Report::Committed(_) | Report::Broken(_))) => {
                    self.take_report(report);
                }
                // A full disk at the end: what is lost are soft values, orders were refused.
                Some(Report::Delayed(_)) | None => break,
            }
        }
    }
}

async fn sleep_until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use model::Snapshot;

    use super::*;

    /// I15: an order is answered when it is durable. Whoever gave one just before the disk was
    /// full is told so instead of waiting for somebody to free it; stopping never waits.
    #[tokio::test]
    async fn orders_do_not_wait_for_a_full_disk_to_be_freed() {
        let clock = Clock::start();
        let engine = Engine::new(engine::Config::default(), Snapshot::default(), 1, clock.now());
        let (batches, written) = blocking::channel();
        let (reports, incoming) = mpsc::unbounded_channel();
        let (_stop, stopped) = watch::channel(false);
        let parts = Parts {
            engine,
            clock,
            sockets: vec![UdpSocket::bind("127.0.0.1:0").await.unwrap()],
            batches,
            reports: incoming,
            journal: Arc::new(Journal::new(clock.now())),
            late: Late::new(crate::Slowdown::default()),
        };
        let (handle, ..) = spawn(parts, stopped);
        let publish = |name: &str| {
            let manifest = MANIFEST.replace("NAME", name);
            let manifest = model::Manifest::from_toml(&manifest).unwrap();
            move |engine: &mut Engine, now| {
                engine.publish(manifest, "test", None, None, 1, now).map(drop)
            }
        };
        let full = || Report::Delayed(StoreError::DiskFull { path: PathBuf::from("data") });

        let (order, stopping) = (handle.order(publish("one")), handle.order_stop(publish("two")));
        let report = async {
            while written.try_recv().is_err() {
                tokio::task::yield_now().await;
            }
            reports.send(full()).unwrap();
            reports.send(full()).unwrap();
        };
        let (ordered, stopped, ()) = tokio::join!(order, stopping, report);
        let words = ordered.unwrap_err().to_string();
        assert!(words.starts_with("the order waits to be written, because no space"), "{words}");
        assert_eq!(words.matches("; ").count(), 1, "{words}");
        stopped.unwrap().unwrap();
        let refused = handle.order(publish("three")).await.unwrap_err();
        assert!(matches!(refused, Unavailable::Store(_)), "{refused}");
        // Each of the two filled a batch of its own.
        reports.send(Report::Committed(1)).unwrap();
        reports.send(Report::Committed(2)).unwrap();
        while let Err(error) = handle.order(|_, _| ()).await {
            assert!(matches!(error, Unavailable::Store(_)), "{error}");
        }
    }

    const MANIFEST: &str = "manifest = 1\n\
        [release]\nname = \"NAME\"\nversion = \"1.1.0\"\nclass = \"major\"\n\
        [[target]]\nmanufacturer = \"M\"\nmodel = \"m\"\n\
        [[write]]\npath = \"/1/0/1\"\nvalue = 60\n\
        [[upgrade]]\nfrom = \"*\"\n";
}
