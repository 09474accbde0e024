//! The client side: requests to peers, their responses, observations.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use super::Endpoint;
use super::blocks::{Received, Receiving, Sending};
use super::peer::{Answer, Owner, RecentKey};
use super::reliability::encode;
use super::timers::{Timer, TimerKey};
use crate::rules::{Rejection, check_options};
use crate::{
    BlockFailure, BlockValue, Code, Event, Failure, Kind, MessageView, OptionNumber, Options,
    Request, RequestId, RequestRefused, Response, Token,
};

/// Holds a request until it is answered, and an observation until it ends.
#[derive(Debug)]
pub(super) struct Call {
    peer: SocketAddr,
    /// Token of the request; of the observation for as long as that lives.
    token: Token,
    /// Token of the requests for further blocks of a notification: its own, so that they are not
    /// taken for notifications (RFC 7959 section 3.4).
    fetch_token: Option<Token>,
    request: Request,
    stage: Stage,
    /// Message id of the last message sent.
    message_id: u16,
    /// Runs while an acknowledged request has no response.
    timer: Option<TimerKey>,
    first_sent: Option<Duration>,
    round_trip: Option<Duration>,
    sending: Option<Sending>,
    /// The body went out in several blocks, so requests for more of the answer leave it out.
    body_sent: bool,
    receiving: Option<Receiving>,
    /// The response was handed to the application.
    answered: bool,
    observation: Option<Observation>,
    /// A request with Observe 1 ends the observation.
    ending: bool,
}

/// Says how far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It waits for its turn at the peer.
    Queued,
    /// A confirmable message is on its way.
    Sent,
    /// The message was acknowledged or needs no acknowledgement; the response is awaited.
    Acknowledged,
    /// It only waits for notifications.
    Observing,
}

/// Remembers the newest notification (RFC 7641 section 3.4).
#[derive(Clone, Copy, Debug)]
struct Observation {
    sequence: u32,
    at: Duration,
}

/// Says what follows an answer.
enum Step {
    /// Send the next block, or ask for it.
    Next,
    Finish(Response),
    Fail(Failure),
}

/// Says what a response is to the call of its token.
enum Role {
    Answer,
    Notification,
}

impl Call {
    fn new(peer: SocketAddr, token: Token, request: Request, size_exponent: u8) -> Self {
        let blocks = request.payload.len() > 16 << size_exponent
            && !request.options.contains(OptionNumber::BLOCK1);
        let sending = blocks.then_some(Sending { acknowledged: 0, size_exponent });
        Self {
            peer,
            token,
            fetch_token: None,
            request,
            stage: Stage::Queued,
            message_id: 0,
            timer: None,
            first_sent: None,
            round_trip: None,
            sending,
            body_sent: false,
            receiving: None,
            answered: false,
            observation: None,
            ending: false,
        }
    }

    pub(super) const fn peer(&self) -> SocketAddr {
        self.peer
    }

    fn wants_observation(&self) -> bool {
        self.ending || self.request.options.observe() == Some(0)
    }

    fn current_token(&self) -> Token {
        self.fetch_token.unwrap_or(self.token)
    }

    const fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::Sent | Stage::Acknowledged)
    }

    fn role(&self, token: Token, observe: bool) -> Option<Role> {
        let observing = self.observation.is_some() && token == self.token;
        if self.is_waiting() && token == self.current_token() && !(observing && observe) {
            return Some(Role::Answer);
        }
        observing.then_some(Role::Notification)
    }

    /// Returns options and payload of the next message.
    fn next_message(&self) -> (Options, Bytes) {
        let mut options = self.request.options.clone();
        if let Some(receiving) = &self.receiving {
            // RFC 7641 section 3.4 and RFC 7959 section 3.4: Observe is for the first block only.
            options.remove(OptionNumber::OBSERVE);
            receiving.wanted().set(&mut options, OptionNumber::BLOCK2);
            // A FETCH is told apart by its body (RFC 8132 section 2.1), so the body is repeated.
            let repeat = self.request.method == Code::FETCH && !self.body_sent;
            let payload = if repeat { self.request.payload.clone() } else { Bytes::new() };
            return (options, payload);
        }
        let Some(sending) = self.sending else { return (options, self.request.payload.clone()) };
        let (block, payload) = sending.block(&self.request.payload);
        block.set(&mut options, OptionNumber::BLOCK1);
        if block.number == 0 && !options.contains(OptionNumber::SIZE1) {
            let total = u32::try_from(self.request.payload.len()).unwrap_or(u32::MAX);
            options.set_uint(OptionNumber::SIZE1, total);
        }
        (options, payload)
    }

    /// Tells whether a response outside an acknowledgement belongs to an earlier block.
    fn is_stale(&self, response: &Response) -> bool {
        let block = |number| response.options.first(number).and_then(BlockValue::decode);
        if let Some(sending) = self.sending {
            let (sent, _) = sending.block(&self.request.payload);
            return block(OptionNumber::BLOCK1).is_some_and(|block| block.number < sent.number);
        }
        match &self.receiving {
            Some(receiving) => {
                block(OptionNumber::BLOCK2).is_some_and(|block| block.offset() < receiving.bytes())
            }
            None => false,
        }
    }

    fn advance(
        &mut self,
        response: Response,
        body_bytes_max: usize,
        progress: &mut Option<usize>,
    ) -> Step {
        if let Some(step) = self.advance_sending(&response, progress) {
            return step;
        }
        self.advance_receiving(response, body_bytes_max, progress)
    }

    /// Handles the answer to a block of the request; `None` when it is the response itself.
    fn advance_sending(
        &mut self,
        response: &Response,
        progress: &mut Option<usize>,
    ) -> Option<Step> {
        let answer = match response.options.first(OptionNumber::BLOCK1).map(BlockValue::decode) {
            None => None,
            Some(Some(block)) => Some(block),
            Some(None) => return Some(Step::Fail(Failure::Block(BlockFailure::Malformed))),
        };
        let body = &self.request.payload;
        // RFC 7959 section 2.9.3: 4.13 may ask for smaller blocks.
        if response.code == Code::REQUEST_ENTITY_TOO_LARGE
            && let Some(block) = answer
            && self.may_shrink_to(block)
            && body.len() >> (4 + block.size_exponent) <= BlockValue::NUMBER_MAX as usize
        {
            let size_exponent = block.size_exponent;
            self.sending = Some(Sending { acknowledged: 0, size_exponent });
            return Some(Step::Next);
        }
        let sending = self.sending?;
        if !response.code.is_success() {
            self.sending = None;
            return None;
        }
        let (sent, _) = sending.block(body);
        let continues = response.code == Code::CONTINUE;
        if answer.is_some_and(|block| block.number != sent.number) || (continues && !sent.more) {
            return Some(Step::Fail(Failure::Block(BlockFailure::Number)));
        }
        if sent.more && answer.is_none() && !continues {
            return Some(Step::Fail(Failure::Block(BlockFailure::Unsupported)));
        }
        let next = sending.advance(body, answer);
        *progress = Some(next.acknowledged);
        if sent.more {
            if next.acknowledged >> (4 + next.size_exponent) > BlockValue::NUMBER_MAX as usize {
                return Some(Step::Fail(Failure::Block(BlockFailure::Number)));
            }
            self.sending = Some(next);
            return Some(Step::Next);
        }
        self.sending = None;
        self.body_sent = true;
        None
    }

    /// Tells whether blocks of this size are smaller than what was tried.
    fn may_shrink_to(&self, block: BlockValue) -> bool {
        match self.sending {
            Some(sending) => block.size_exponent < sending.size_exponent,
            None => block.size() < self.request.payload.len(),
        }
    }

    /// Handles a response, or a block of it.
    fn advance_receiving(
        &mut self,
        response: Response,
        body_bytes_max: usize,
        progress: &mut Option<usize>,
    ) -> Step {
        let own = self.request.options.first(OptionNumber::BLOCK2).and_then(BlockValue::decode);
        if own.is_some_and(|block| block.number > 0) {
            // The application walks through the blocks itself.
            return Step::Finish(response);
        }
        let block = match response.options.first(OptionNumber::BLOCK2).map(BlockValue::decode) {
            None => None,
            Some(Some(block)) => Some(block),
            Some(None) => return Step::Fail(Failure::Block(BlockFailure::Malformed)),
        };
        match (self.receiving.take(), block) {
            (None, None | Some(BlockValue { number: 0, more: false, .. })) => {
                if response.payload.len() > body_bytes_max {
                    return Step::Fail(Failure::TooLarge);
                }
                Step::Finish(without_blocks(response))
            }
            (None, Some(block)) => match Receiving::begin(block, response, body_bytes_max) {
                Ok(receiving) => {
                    *progress = Some(receiving.bytes());
                    self.receiving = Some(receiving);
                    Step::Next
                }
                Err(failure) => Step::Fail(failure),
            },
            (Some(_), _) if !response.code.is_success() => Step::Finish(without_blocks(response)),
            (Some(_), None) => Step::Fail(Failure::Block(BlockFailure::Unsupported)),
            (Some(mut receiving), Some(block)) => {
                match receiving.add(block, &response, body_bytes_max) {
                    Ok(Received::Partial) => {
                        *progress = Some(receiving.bytes());
                        self.receiving = Some(receiving);
                        Step::Next
                    }
                    Ok(Received::Complete) => {
                        *progress = Some(receiving.bytes());
                        Step::Finish(without_blocks(receiving.into_response()))
                    }
                    Err(failure) => Step::Fail(failure),
                }
            }
        }
    }

    fn receiving_bytes(&self) -> usize {
        self.receiving.as_ref().map_or(0, Receiving::bytes)
    }
}

impl Endpoint {
    pub(super) fn start_call(
        &mut self,
        address: SocketAddr,
        request: Request,
        now: Duration,
    ) -> Result<RequestId, RequestRefused> {
        if !request.method.is_request() {
            return Err(RequestRefused::NotAMethod(request.method));
        }
        let size_exponent = request.block_size_exponent.unwrap_or(self.config.block_size_exponent);
        if request.payload.len() >> (4 + size_exponent) > BlockValue::NUMBER_MAX as usize {
            return Err(RequestRefused::TooLarge { block_bytes: 16 << size_exponent });
        }
        let observes = request.options.observe() == Some(0);
        if observes && self.observations >= self.config.observations_max {
            return Err(RequestRefused::ObservationsFull { limit: self.config.observations_max });
        }
        self.check_peer_limits(address, observes, now)?;
        let token = self.new_token();
        let id = RequestId(self.next_serial());
        self.observations += usize::from(observes);
        self.tokens.insert(token, id);
        self.calls.insert(id, Box::new(Call::new(address, token, request, size_exponent)));
        if let Some(peer) = self.peers.find(address) {
            peer.calls.push(id);
            peer.queue.push_back(id);
        }
        self.start_queued(address, now);
        Ok(id)
    }

    fn check_peer_limits(
        &mut self,
        address: SocketAddr,
        observes: bool,
        now: Duration,
    ) -> Result<(), RequestRefused> {
        let peers_max = self.config.peers_max;
        let nstart = self.config.nstart;
        let queue_max = self.config.queue_per_peer_max;
        let observations_max = self.config.observations_per_peer_max;
        let Some(peer) = self.enter_peer(address, now) else {
            return Err(RequestRefused::PeersFull { limit: peers_max });
        };
        if usize::from(peer.active) >= nstart && peer.queue.len() >= queue_max {
            return Err(RequestRefused::QueueFull { limit: queue_max });
        }
        if observes && self.observations_of(address) >= observations_max {
            return Err(RequestRefused::ObservationsFull { limit: observations_max });
        }
        Ok(())
    }

    fn observations_of(&mut self, address: SocketAddr) -> usize {
        let Some(peer) = self.peers.find(address) else { return 0 };
        let calls = peer.calls.iter().filter_map(|id| self.calls.get(id));
        calls.filter(|call| call.wants_observation()).count()
    }

    fn new_token(&mut self) -> Token {
        loop {
            let token = Token::from(self.random.next().to_be_bytes());
            if !self.tokens.contains_key(&token) {
                return token;
            }
        }
    }

    /// Sends waiting requests as far as NSTART allows (RFC 7252 section 4.7).
    pub(super) fn start_queued(&mut self, address: SocketAddr, now: Duration) {
        while let Some(peer) = self.peers.find(address)
            && usize::from(peer.active) < self.config.nstart
            && let Some(id) = peer.queue.pop_front()
        {
            peer.active += 1;
            self.send_call(id, now);
        }
    }

    /// Sends the next message of a call whose turn it is.
    fn send_call(&mut self, id: RequestId, now: Duration) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let address = call.peer;
        let Some(peer) = self.peers.find(address) else { return };
        let message_id = peer.next_message_id();
        let (options, payload) = call.next_message();
        let confirmable =
            call.request.confirmable || call.sending.is_some() || call.receiving.is_some();
        let kind = if confirmable { Kind::Confirmable } else { Kind::NonConfirmable };
        let method = call.request.method;
        let datagram = encode(kind, method, message_id, call.current_token(), &options, &payload);
        call.message_id = message_id;
        if call.first_sent.is_none() {
            call.first_sent = Some(now);
            self.statistics.requests_sent += 1;
        }
        if confirmable {
            call.stage = Stage::Sent;
            self.send_confirmable(address, message_id, Owner::Request(id), datagram, now);
        } else {
            call.stage = Stage::Acknowledged;
            let wait = now + self.config.response_timeout;
            call.timer = Some(self.timers.arm(wait, Timer::Response(id)));
            self.send(address, datagram);
        }
    }

    /// Waits for the separate response of an acknowledged request (RFC 7252 section 5.2.2).
    pub(super) fn call_acknowledged(&mut self, id: RequestId, now: Duration) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.stage = Stage::Acknowledged;
        let wait = now + self.config.response_timeout;
        call.timer = Some(self.timers.arm(wait, Timer::Response(id)));
    }

    /// Finds the non-confirmable request that has this message id.
    pub(super) fn non_confirmable_call(
        &mut self,
        address: SocketAddr,
        message_id: u16,
    ) -> Option<RequestId> {
        let peer = self.peers.find(address)?;
        peer.calls.iter().copied().find(|id| {
            self.calls.get(id).is_some_and(|call| {
                call.stage == Stage::Acknowledged
                    && !call.request.confirmable
                    && call.message_id == message_id
            })
        })
    }

    pub(super) fn receive_piggybacked_response(
        &mut self,
        address: SocketAddr,
        message: &MessageView<'_>,
        now: Duration,
    ) {
        let owner = self
            .peers
            .find(address)
            .and_then(|peer| peer.in_flight(message.id()))
            .map(|message| message.owner);
        let Some(Owner::Request(id)) = owner else {
            self.statistics.unmatched += 1;
            return;
        };
        // Some devices leave the token out of errors; their message id is believed.
        let matches = self.calls.get(&id).is_some_and(|call| {
            message.token() == call.current_token() || message.token().is_empty()
        });
        if !matches {
            self.statistics.unmatched += 1;
            return;
        }
        match read_response(message) {
            Ok(response) => self.accept_answer(id, response, now),
            Err(number) => self.fail(id, Failure::BadOption(number), now),
        }
    }

    pub(super) fn receive_separate_response(
        &mut self,
        address: SocketAddr,
        message: &MessageView<'_>,
        datagram: &[u8],
        now: Duration,
    ) {
        let key = RecentKey::new(message.id(), datagram);
        if self.answer_duplicate(address, message.id(), key) {
            return;
        }
        let confirmable = message.kind() == Kind::Confirmable;
        let observe = message.option(OptionNumber::OBSERVE).is_some();
        let id = self.tokens.get(&message.token()).copied();
        let call = id.and_then(|id| self.calls.get(&id));
        let foreign = call.is_some_and(|call| call.peer != address);
        let role = call
            .filter(|call| call.peer == address)
            .and_then(|call| call.role(message.token(), observe));
        let (Some(id), Some(role)) = (id, role) else {
            if foreign {
                self.statistics.wrong_peer += 1;
            } else {
                self.statistics.unmatched += 1;
            }
            // RFC 7641 section 3.6: a reset ends an observation that is forgotten here.
            if confirmable || observe {
                self.send_reset(address, message.id());
            }
            return;
        };
        let response = match read_response(message) {
            Ok(response) => response,
            Err(number) => {
                // RFC 7252 section 5.4.1: rejected by a reset, or ignored.
                if confirmable {
                    self.send_reset(address, message.id());
                }
                return self.fail(id, Failure::BadOption(number), now);
            }
        };
        if let Some(peer) = self.peers.find(address) {
            peer.heard = now;
        }
        if confirmable {
            self.send_empty_acknowledgement(address, message.id());
            self.remember(address, key, Answer::Acknowledged);
        } else {
            self.remember(address, key, Answer::Nothing);
        }
        match role {
            Role::Answer if self.calls.get(&id).is_some_and(|call| call.is_stale(&response)) => {
                self.statistics.unmatched += 1;
            }
            Role::Answer => self.accept_answer(id, response, now),
            Role::Notification => self.accept_notification(id, response, now),
        }
    }

    /// Takes the answer to the message sent last.
    fn accept_answer(&mut self, id: RequestId, response: Response, now: Duration) {
        self.stop_waiting(id);
        let Some(call) = self.calls.get_mut(&id) else { return };
        let peer = call.peer;
        let first_sent = call.first_sent.unwrap_or(now);
        call.round_trip.get_or_insert_with(|| now.saturating_sub(first_sent));
        if call.wants_observation()
            && !call.answered
            && call.observation.is_none()
            && response.code.is_success()
            && response.code != Code::CONTINUE
            && let Some(sequence) = response.options.observe()
        {
            call.observation = Some(Observation { sequence, at: now });
        }
        let body_bytes_max = call.request.body_bytes_max.unwrap_or(self.config.body_bytes_max);
        let before = call.receiving_bytes();
        let mut progress = None;
        let step = call.advance(response, body_bytes_max, &mut progress);
        self.download_bytes = self.download_bytes - before + call.receiving_bytes();
        let needs_token = call.observation.is_some() && call.fetch_token.is_none();
        if let Some(bytes) = progress {
            self.events.push_back(Event::Progress { id, peer, bytes });
        }
        match step {
            Step::Next if self.download_bytes > self.config.block2_bytes_total_max => {
                self.fail(id, Failure::TooLarge, now);
            }
            Step::Next => {
                if needs_token {
                    self.give_fetch_token(id);
                }
                self.send_call(id, now);
            }
            Step::Finish(response) => self.finish(id, response, now),
            Step::Fail(failure) => self.fail_answer(id, failure, now),
        }
    }

    fn give_fetch_token(&mut self, id: RequestId) {
        let token = self.new_token();
        if let Some(call) = self.calls.get_mut(&id) {
            call.fetch_token = Some(token);
            self.tokens.insert(token, id);
        }
    }

    /// Takes a new state of an observed resource (RFC 7641 section 3.4).
    fn accept_notification(&mut self, id: RequestId, response: Response, now: Duration) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some(observation) = call.observation else { return };
        if call.ending {
            self.statistics.notifications_stale += 1;
            return;
        }
        let sequence = response.options.observe().filter(|_| response.code.is_success());
        if let Some(sequence) = sequence {
            if !is_fresher(observation, sequence, now) {
                self.statistics.notifications_stale += 1;
                return;
            }
            call.observation = Some(Observation { sequence, at: now });
        } else {
            call.observation = None;
        }
        // A newer state makes the blocks of an older one worthless.
        self.settle(id);
        let Some(call) = self.calls.get_mut(&id) else { return };
        let peer = call.peer;
        let body_bytes_max = call.request.body_bytes_max.unwrap_or(self.config.body_bytes_max);
        let mut progress = None;
        let step = call.advance_receiving(response, body_bytes_max, &mut progress);
        self.download_bytes += call.receiving_bytes();
        match step {
            Step::Next if self.download_bytes > self.config.block2_bytes_total_max => {
                self.fail(id, Failure::TooLarge, now);
            }
            Step::Next => {
                call.stage = Stage::Queued;
                self.give_fetch_token(id);
                if let Some(peer) = self.peers.find(peer) {
                    peer.queue.push_front(id);
                }
            }
            Step::Finish(response) => self.finish(id, response, now),
            Step::Fail(failure) => self.fail_answer(id, failure, now),
        }
        self.start_queued(peer, now);
    }

    /// Hands a complete response or notification to the application.
    fn finish(&mut self, id: RequestId, response: Response, now: Duration) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let peer = call.peer;
        let observation = call.observation.filter(|_| !call.ending);
        if call.answered {
            let sequence = observation.map_or(0, |observation| observation.sequence);
            self.statistics.notifications_received += 1;
            self.events.push_back(Event::Notification { id, peer, response, sequence });
        } else {
            call.answered = true;
            let round_trip = call.round_trip.unwrap_or_default();
            self.events.push_back(Event::Response { id, peer, response, round_trip });
        }
        if observation.is_some() {
            self.settle(id);
        } else {
            self.drop_call(id);
        }
        self.start_queued(peer, now);
    }

    /// Ends a call whose answer is unusable. An observation survives when a newer state made the
    /// blocks of a notification inconsistent: that state is about to be notified.
    fn fail_answer(&mut self, id: RequestId, failure: Failure, now: Duration) {
        let survives = self
            .calls
            .get(&id)
            .is_some_and(|call| call.answered && call.observation.is_some() && !call.ending)
            && matches!(failure, Failure::Block(BlockFailure::Changed | BlockFailure::Number));
        if !survives {
            return self.fail(id, failure, now);
        }
        self.statistics.notifications_incomplete += 1;
        let peer = self.calls.get(&id).map(|call| call.peer);
        self.settle(id);
        if let Some(peer) = peer {
            self.start_queued(peer, now);
        }
    }

    pub(super) fn fail(&mut self, id: RequestId, failure: Failure, now: Duration) {
        let Some(call) = self.drop_call(id) else { return };
        let peer = call.peer;
        self.statistics.requests_failed += 1;
        self.events.push_back(Event::Failed { id, peer, failure });
        // A peer being dropped gets no more requests: its others fail next.
        if failure != Failure::Cancelled {
            self.start_queued(peer, now);
        }
    }

    pub(super) fn end_observation(
        &mut self,
        id: RequestId,
        now: Duration,
    ) -> Result<(), RequestRefused> {
        let limit = self.config.queue_per_peer_max;
        let call = self
            .calls
            .get(&id)
            .filter(|call| call.observation.is_some() && call.answered && !call.ending);
        let Some(call) = call else { return Err(RequestRefused::UnknownObservation) };
        let address = call.peer;
        let Some(peer) = self.peers.find(address) else {
            return Err(RequestRefused::UnknownObservation);
        };
        if peer.queue.len() >= limit {
            return Err(RequestRefused::QueueFull { limit });
        }
        self.settle(id);
        if let Some(call) = self.calls.get_mut(&id) {
            call.request.options.set_uint(OptionNumber::OBSERVE, 1);
            call.ending = true;
            call.answered = false;
            call.first_sent = None;
            call.round_trip = None;
            call.stage = Stage::Queued;
        }
        if let Some(peer) = self.peers.find(address) {
            peer.queue.push_back(id);
        }
        self.start_queued(address, now);
        Ok(())
    }

    /// Stops what runs until the peer answers: retransmission or the wait for a response.
    fn stop_waiting(&mut self, id: RequestId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        if let Some(timer) = call.timer.take() {
            self.timers.cancel(timer);
        }
        if call.stage == Stage::Sent {
            let (peer, message_id) = (call.peer, call.message_id);
            self.take_in_flight(peer, message_id);
        }
    }

    /// Stops whatever a call is about, so that only an observation may be left of it.
    fn settle(&mut self, id: RequestId) {
        self.stop_waiting(id);
        let Some(call) = self.calls.get_mut(&id) else { return };
        self.download_bytes -= call.receiving_bytes();
        call.receiving = None;
        if let Some(token) = call.fetch_token.take() {
            self.tokens.remove(&token);
        }
        let stage = std::mem::replace(&mut call.stage, Stage::Observing);
        let Some(peer) = self.peers.find(call.peer) else { return };
        match stage {
            Stage::Queued => peer.queue.retain(|queued| *queued != id),
            Stage::Sent | Stage::Acknowledged => peer.active = peer.active.saturating_sub(1),
            Stage::Observing => {}
        }
    }

    /// Forgets a call.
    pub(super) fn drop_call(&mut self, id: RequestId) -> Option<Box<Call>> {
        self.settle(id);
        let call = self.calls.remove(&id)?;
        self.tokens.remove(&call.token);
        self.observations -= usize::from(call.wants_observation());
        if let Some(peer) = self.peers.find(call.peer) {
            peer.calls.retain(|known| *known != id);
        }
        Some(call)
    }
}

/// Reads a response; the error is a critical option that is not understood.
fn read_response(message: &MessageView<'_>) -> Result<Response, OptionNumber> {
    let options = check_options(message).map_err(|rejection| match rejection {
        Rejection::BadOption(number) => number,
        Rejection::Proxying => OptionNumber::PROXY_URI,
    })?;
    let payload = Bytes::copy_from_slice(message.payload());
    Ok(Response { code: message.code(), options, payload })
}

/// Removes what only the transfer needed.
fn without_blocks(mut response: Response) -> Response {
    for number in [OptionNumber::BLOCK1, OptionNumber::BLOCK2, OptionNumber::SIZE2] {
        response.options.remove(number);
    }
    response
}

/// Tells whether a notification is newer than the newest (RFC 7641 section 3.4).
fn is_fresher(newest: Observation, sequence: u32, now: Duration) -> bool {
    let (old, new) = (newest.sequence, sequence);
    (old < new && new - old < SEQUENCE_HALF)
        || (old > new && old - new > SEQUENCE_HALF)
        || now > newest.at + REORDERING_MAX
}

/// Half of the room of sequence numbers: 2^23.
const SEQUENCE_HALF: u32 = 1 << 23;

/// Time after which a notification cannot be overtaken any more (RFC 7641 section 3.4).
const REORDERING_MAX: Duration = Duration::from_secs(128);
