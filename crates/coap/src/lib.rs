//! CoAP endpoint without I/O: codec, message layer, observe, block-wise transfer.
//!
//! Owns the Constrained Application Protocol over datagrams: the message format and reliability of
//! RFC 7252, observation of RFC 7641 and block-wise transfer of RFC 7959. One [`Endpoint`] serves
//! a socket with any number of peers, as client and as server at once.
//!
//! Refuses to know sockets, clocks, threads and random sources: datagrams, the time and a seed
//! come in as arguments, datagrams and events are polled out. It knows nothing of LwM2M, and
//! nothing of DTLS: a peer is an address.
//!
//! Start from [`Endpoint`], [`Request`] and [`Event`]; [`MessageView`] is the codec.

mod block;
mod code;
mod config;
mod endpoint;
mod event;
mod exchange;
mod message;
mod option;
mod rules;
mod statistics;
#[cfg(test)]
mod tests;

pub use block::BlockValue;
pub use code::Code;
pub use config::Config;
pub use endpoint::Endpoint;
pub use event::{
    BlockFailure, Event, ExchangeId, Failure, NotifyRefused, Observer, RequestId, RequestRefused,
    Transmit,
};
pub use exchange::{Request, Response};
pub use message::{DecodeError, Kind, Message, MessageView, Token};
pub use option::{OptionNumber, Options, OptionsIter};
pub use statistics::Statistics;
