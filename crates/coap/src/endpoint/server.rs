//! The server side: requests of peers, their answers, notifications to observers.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::Endpoint;
use super::blocks::{refusal, slice_response};
use super::peer::{Answer, Owner, RecentKey, Upload};
use super::reliability::encode;
use super::timers::{Timer, TimerKey};
use crate::rules::{Rejection, check_options};
use crate::{
    BlockValue, Code, Event, ExchangeId, Kind, MessageView, NotifyRefused, Observer, OptionNumber,
    Options, Request, Response, Token,
};

/// Holds a received request until the application answers it.
#[derive(Debug)]
pub(super) struct Exchange {
    origin: Origin,
    /// An empty acknowledgement was sent, so the answer goes separately.
    acknowledged: bool,
    timer: TimerKey,
    block1: Option<BlockValue>,
    block2: Option<BlockValue>,
}

impl Exchange {
    pub(super) const fn timer(&self) -> TimerKey {
        self.timer
    }
}

/// Says where an answer goes and what it answers.
#[derive(Clone, Copy, Debug)]
struct Origin {
    peer: SocketAddr,
    key: RecentKey,
    message_id: u16,
    token: Token,
    confirmable: bool,
}

/// Says what the blocks received so far amount to.
enum Assembly {
    Whole(Bytes),
    /// The block was taken.
    Continue(Response),
    /// The block was not taken, or is a late copy: nothing changed.
    Refused(Response),
}

impl Endpoint {
    pub(super) fn receive_request(
        &mut self,
        peer: SocketAddr,
        message: &MessageView<'_>,
        datagram: &[u8],
        now: Duration,
    ) {
        let origin = Origin {
            peer,
            key: RecentKey::new(message.id(), datagram),
            message_id: message.id(),
            token: message.token(),
            confirmable: message.kind() == Kind::Confirmable,
        };
        if self.enter_peer(peer, now).is_none() {
            self.statistics.over_limit += 1;
            return;
        }
        if self.answer_duplicate(peer, origin.message_id, origin.key) {
            return;
        }
        // RFC 7252 section 5.8: an unknown method is answered 4.05.
        if message.code() > Code::IPATCH {
            let answer = refusal(Code::METHOD_NOT_ALLOWED, "unknown method");
            return self.refuse(origin, answer);
        }
        let mut options = match check_options(message) {
            Ok(options) => options,
            Err(Rejection::BadOption(number)) => {
                let answer = Response::new(Code::BAD_OPTION).payload(format!("{number}"));
                return self.refuse(origin, answer);
            }
            Err(Rejection::Proxying) => {
                let answer = refusal(Code::PROXYING_NOT_SUPPORTED, "this is no proxy");
                return self.refuse(origin, answer);
            }
        };
        let Ok((block1, block2)) = block_options(&options) else {
            return self.refuse(origin, refusal(Code::BAD_REQUEST, "invalid Block option"));
        };
        let method = message.code();
        let payload = match block1 {
            None => Bytes::copy_from_slice(message.payload()),
            Some(block) => {
                let length = options.uint(OptionNumber::SIZE1).unwrap_or_default();
                options.remove(OptionNumber::BLOCK1);
                options.remove(OptionNumber::SIZE1);
                let mut name = options.clone();
                name.remove(OptionNumber::BLOCK2);
                let name = Transfer { method, options: &name, message: origin.key };
                match self.assemble(peer, &name, block, length, message.payload(), now) {
                    Assembly::Whole(payload) => payload,
                    Assembly::Continue(answer) => return self.answer(origin, &answer),
                    Assembly::Refused(answer) => {
                        self.reply(origin, &answer);
                        return;
                    }
                }
            }
        };
        let request = Request { options, payload, ..Request::new(method) };
        self.open_exchange(origin, request, block1, block2, now);
    }

    /// Hands a complete request to the application.
    fn open_exchange(
        &mut self,
        origin: Origin,
        request: Request,
        block1: Option<BlockValue>,
        block2: Option<BlockValue>,
        now: Duration,
    ) {
        let limit = self.config.exchanges_per_peer_max;
        let id = ExchangeId(self.next_serial());
        let Some(peer) = self.peers.find(origin.peer) else { return };
        if peer.exchanges.len() >= limit {
            self.statistics.over_limit += 1;
            let answer = refusal(Code::SERVICE_UNAVAILABLE, "too many requests wait for answers");
            self.reply(origin, &answer);
            return;
        }
        peer.exchanges.push(id);
        self.remember(origin.peer, origin.key, Answer::Nothing);
        let wait = if origin.confirmable {
            self.config.processing_delay
        } else {
            self.config.exchange_age_max
        };
        let timer = self.timers.arm(now + wait, Timer::Exchange(id));
        let exchange = Exchange { origin, acknowledged: false, timer, block1, block2 };
        self.exchanges.insert(id, exchange);
        self.statistics.requests_received += 1;
        self.events.push_back(Event::Request {
            exchange: id,
            peer: origin.peer,
            request,
            token: origin.token,
        });
    }

    /// Acknowledges a request the application is slow to answer (RFC 7252 section 5.2.2), or
    /// forgets one it never answered.
    pub(super) fn exchange_due(&mut self, id: ExchangeId, now: Duration) {
        let age_max = self.config.exchange_age_max;
        let Some(exchange) = self.exchanges.get_mut(&id) else { return };
        if exchange.origin.confirmable && !exchange.acknowledged {
            exchange.acknowledged = true;
            exchange.timer = self.timers.arm(now + age_max, Timer::Exchange(id));
            let origin = exchange.origin;
            self.send_empty_acknowledgement(origin.peer, origin.message_id);
            self.remember(origin.peer, origin.key, Answer::Acknowledged);
        } else {
            self.close_exchange(id);
            self.statistics.exchanges_expired += 1;
        }
    }

    fn close_exchange(&mut self, id: ExchangeId) -> Option<Exchange> {
        let exchange = self.exchanges.remove(&id)?;
        self.timers.cancel(exchange.timer);
        if let Some(peer) = self.peers.find(exchange.origin.peer) {
            peer.exchanges.retain(|open| *open != id);
        }
        Some(exchange)
    }

    pub(super) fn answer_exchange(&mut self, id: ExchangeId, response: Response, now: Duration) {
        let Some(exchange) = self.close_exchange(id) else {
            self.statistics.responses_late += 1;
            return;
        };
        let response = if response.code.is_response() {
            response
        } else {
            refusal(Code::INTERNAL_SERVER_ERROR, "the server built no valid response")
        };
        let size_exponent = self.config.block_size_exponent;
        let mut response = slice_response(response, exchange.block2, size_exponent);
        if let Some(block) = exchange.block1 {
            let echo = BlockValue { more: false, ..block };
            echo.set(&mut response.options, OptionNumber::BLOCK1);
        }
        let origin = exchange.origin;
        if !exchange.acknowledged {
            return self.answer(origin, &response);
        }
        let Some(peer) = self.peers.find(origin.peer) else { return };
        let message_id = peer.next_message_id();
        let datagram = encode(
            Kind::Confirmable,
            response.code,
            message_id,
            origin.token,
            &response.options,
            &response.payload,
        );
        let owner = Owner::SeparateResponse;
        self.send_confirmable(origin.peer, message_id, owner, datagram, now);
    }

    fn refuse(&mut self, origin: Origin, response: Response) {
        self.statistics.refused += 1;
        self.reply(origin, &response);
    }

    /// Sends the answer to a request that was handled, and keeps it for copies.
    fn answer(&mut self, origin: Origin, response: &Response) {
        let datagram = self.reply(origin, response);
        let kept = match datagram {
            Some(datagram) if origin.confirmable => Answer::Sent(datagram),
            _ => Answer::Nothing,
        };
        self.remember(origin.peer, origin.key, kept);
    }

    /// Sends an answer in the acknowledgement, or non-confirmable as the request was
    /// (RFC 7252 section 5.2).
    ///
    /// Refusals are not kept for copies, which are refused again: otherwise late copies of
    /// messages forgotten already would push out the newest ones.
    fn reply(&mut self, origin: Origin, response: &Response) -> Option<Bytes> {
        let (kind, message_id) = if origin.confirmable {
            (Kind::Acknowledgement, origin.message_id)
        } else {
            (Kind::NonConfirmable, self.peers.find(origin.peer)?.next_message_id())
        };
        let datagram = encode(
            kind,
            response.code,
            message_id,
            origin.token,
            &response.options,
            &response.payload,
        );
        self.send(origin.peer, datagram.clone());
        Some(datagram)
    }

    /// Adds a block of a request body (RFC 7959 section 2.5).
    fn assemble(
        &mut self,
        address: SocketAddr,
        name: &Transfer<'_>,
        block: BlockValue,
        announced: u32,
        payload: &[u8],
        now: Duration,
    ) -> Assembly {
        let length = payload.len();
        if length > block.size() || (block.more && length != block.size()) {
            self.statistics.refused += 1;
            let text = "the block's length contradicts its size";
            return block_refusal(block, Code::BAD_REQUEST, text);
        }
        if block.number == 0 && block.more && self.is_copy_of_first(address, name) {
            // A late copy must not start the transfer over.
            return Assembly::Refused(self.continue_after(block));
        }
        if block.number == 0 {
            self.abandon_upload(address, name);
            if !block.more {
                return Assembly::Whole(Bytes::copy_from_slice(payload));
            }
            if announced as usize > self.config.block1_bytes_per_peer_max {
                return self.too_large(block);
            }
            self.begin_upload(address, name, now);
        }
        if block.more && self.is_copy_of_last(address, name, block, payload) {
            // Its acknowledgement was lost for longer than messages are remembered.
            return Assembly::Continue(self.continue_after(block));
        }
        let known = self.peers.find(address).and_then(|peer| {
            let held = peer.upload_bytes();
            let upload = peer.uploads.iter().find(|upload| name.is_of(upload))?;
            (upload.body.len() == block.offset()).then_some(held)
        });
        let Some(held) = known else {
            self.statistics.refused += 1;
            let text = "blocks are missing; start again at block 0";
            return block_refusal(block, Code::REQUEST_ENTITY_INCOMPLETE, text);
        };
        if held + length > self.config.block1_bytes_per_peer_max {
            self.abandon_upload(address, name);
            return self.too_large(block);
        }
        if self.upload_bytes + length > self.config.block1_bytes_total_max {
            self.abandon_upload(address, name);
            self.statistics.over_limit += 1;
            return block_refusal(block, Code::SERVICE_UNAVAILABLE, "too many transfers");
        }
        self.extend_upload(address, name, payload, now);
        if block.more {
            return Assembly::Continue(self.continue_after(block));
        }
        Assembly::Whole(self.abandon_upload(address, name))
    }

    fn continue_after(&self, block: BlockValue) -> Response {
        let mut answer = Response::new(Code::CONTINUE);
        let size_exponent = block.size_exponent.min(self.config.block_size_exponent);
        BlockValue { size_exponent, ..block }.set(&mut answer.options, OptionNumber::BLOCK1);
        answer
    }

    /// Tells whether a transfer under way began with this very message, which the few remembered
    /// messages need not show any more.
    fn is_copy_of_first(&mut self, address: SocketAddr, name: &Transfer<'_>) -> bool {
        self.peers.find(address).is_some_and(|peer| {
            peer.uploads.iter().any(|upload| name.is_of(upload) && upload.first == name.message)
        })
    }

    /// Tells whether a block is the one that a transfer under way took last.
    fn is_copy_of_last(
        &mut self,
        address: SocketAddr,
        name: &Transfer<'_>,
        block: BlockValue,
        payload: &[u8],
    ) -> bool {
        self.peers.find(address).is_some_and(|peer| {
            peer.uploads.iter().any(|upload| {
                name.is_of(upload) && upload.body.get(block.offset()..) == Some(payload)
            })
        })
    }

    fn too_large(&mut self, block: BlockValue) -> Assembly {
        self.statistics.over_limit += 1;
        let limit = u32::try_from(self.config.block1_bytes_per_peer_max).unwrap_or(u32::MAX);
        let mut answer = Response::new(Code::REQUEST_ENTITY_TOO_LARGE);
        block.set(&mut answer.options, OptionNumber::BLOCK1);
        answer.options.set_uint(OptionNumber::SIZE1, limit);
        Assembly::Refused(answer)
    }

    fn begin_upload(&mut self, address: SocketAddr, name: &Transfer<'_>, now: Duration) {
        let serial = self.next_serial();
        let Some(peer) = self.peers.find(address) else { return };
        if peer.uploads.len() >= self.config.block1_transfers_per_peer_max.max(1) {
            let oldest = peer.uploads.remove(0);
            self.upload_bytes -= oldest.body.len();
            self.timers.cancel(oldest.timer);
            self.statistics.over_limit += 1;
        }
        let timer = Timer::Upload { peer: address, serial };
        let timer = self.timers.arm(now + self.config.block1_age_max, timer);
        peer.uploads.push(Upload {
            serial,
            first: name.message,
            method: name.method,
            options: name.options.clone(),
            body: BytesMut::new(),
            timer,
        });
    }

    fn extend_upload(
        &mut self,
        address: SocketAddr,
        name: &Transfer<'_>,
        payload: &[u8],
        now: Duration,
    ) {
        let Some(peer) = self.peers.find(address) else { return };
        let Some(at) = peer.uploads.iter().position(|upload| name.is_of(upload)) else { return };
        // The transfer idle for longest stays in front.
        let mut upload = peer.uploads.remove(at);
        upload.body.extend_from_slice(payload);
        self.upload_bytes += payload.len();
        self.timers.cancel(upload.timer);
        let timer = Timer::Upload { peer: address, serial: upload.serial };
        upload.timer = self.timers.arm(now + self.config.block1_age_max, timer);
        peer.uploads.push(upload);
    }

    /// Ends the transfer of that name and returns what it held.
    fn abandon_upload(&mut self, address: SocketAddr, name: &Transfer<'_>) -> Bytes {
        let Some(peer) = self.peers.find(address) else { return Bytes::new() };
        let Some(at) = peer.uploads.iter().position(|upload| name.is_of(upload)) else {
            return Bytes::new();
        };
        let upload = peer.uploads.remove(at);
        self.upload_bytes -= upload.body.len();
        self.timers.cancel(upload.timer);
        upload.body.freeze()
    }

    pub(super) fn upload_expired(&mut self, address: SocketAddr, serial: u64) {
        let Some(peer) = self.peers.find(address) else { return };
        if let Some(at) = peer.uploads.iter().position(|upload| upload.serial == serial) {
            let upload = peer.uploads.remove(at);
            self.upload_bytes -= upload.body.len();
            self.statistics.transfers_expired += 1;
        }
    }

    pub(super) fn send_notification(
        &mut self,
        observer: &mut Observer,
        response: Response,
        confirmable: bool,
        now: Duration,
    ) -> Result<(), NotifyRefused> {
        let limit = self.config.peers_max;
        let busy = self.config.queue_per_peer_max;
        let size_exponent = self.config.block_size_exponent;
        let address = observer.peer;
        let token = observer.token;
        let Some(peer) = self.enter_peer(address, now) else {
            return Err(NotifyRefused::PeersFull { limit });
        };
        let owner = Owner::Notification(token);
        let unacknowledged = peer.in_flight.iter().position(|message| message.owner == owner);
        if confirmable && unacknowledged.is_none() && peer.in_flight.len() >= busy {
            return Err(NotifyRefused::Busy { limit: busy });
        }
        let message_id = peer.next_message_id();
        let mut response = response;
        response.options.remove(OptionNumber::OBSERVE);
        // RFC 7641 section 4.2: a notification of an error has no Observe option.
        if response.code.is_success() {
            response = response.observe(observer.sequence);
        }
        observer.sequence = (observer.sequence + 1) & 0x00ff_ffff;
        let response = slice_response(response, None, size_exponent);
        let kind = if confirmable { Kind::Confirmable } else { Kind::NonConfirmable };
        let payload = &response.payload;
        let datagram = encode(kind, response.code, message_id, token, &response.options, payload);
        if !confirmable {
            peer.notifications.push_back((message_id, token));
            if peer.notifications.len() > NOTIFICATIONS_REMEMBERED {
                peer.notifications.pop_front();
            }
            self.send(address, datagram);
        } else if let Some(at) = unacknowledged {
            peer.in_flight[at].successor = Some((message_id, datagram));
        } else {
            self.send_confirmable(address, message_id, owner, datagram, now);
        }
        Ok(())
    }
}

/// Names a transfer of one peer: blocks belong together when method and options are equal
/// (RFC 7959 section 2.5, RFC 9175 section 3.3 for Request-Tag).
struct Transfer<'a> {
    method: Code,
    options: &'a Options,
    /// Message that carries the block.
    message: RecentKey,
}

impl Transfer<'_> {
    fn is_of(&self, upload: &Upload) -> bool {
        upload.method == self.method && upload.options == *self.options
    }
}

type BlockOptions = (Option<BlockValue>, Option<BlockValue>);

/// Reads the Block options; RFC 7959 section 2.2 wants 4.00 for the reserved size 7.
fn block_options(options: &Options) -> Result<BlockOptions, ()> {
    let read = |number| match options.first(number) {
        None => Ok(None),
        Some(value) => BlockValue::decode(value).map(Some).ok_or(()),
    };
    Ok((read(OptionNumber::BLOCK1)?, read(OptionNumber::BLOCK2)?))
}

fn block_refusal(block: BlockValue, code: Code, text: &'static str) -> Assembly {
    let mut answer = refusal(code, text);
    block.set(&mut answer.options, OptionNumber::BLOCK1);
    Assembly::Refused(answer)
}

/// Non-confirmable notifications of a peer a reset can refer to.
const NOTIFICATIONS_REMEMBERED: usize = 4;
