//! `dev`: `serve` with a sample set-up. Simulated devices run in a process of their own and meet
//! the server on its sockets only; the sample release is published over the HTTP interface.

mod fleet;
mod follow;
mod sample;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use api::client::Client;
use server::Server;

use self::fleet::Fleet;
use self::follow::{Ending, Follow};
use self::sample::Sample;
use crate::arguments::{Dev, Form};
use crate::command::runtime;
use crate::failure::{Exit, Failure};
use crate::logs;
use crate::output::Output;
use crate::screen::Screen;
use crate::signal::Interrupt;

/// Runs the trial until it is stopped or, with `--once`, until its operation ends.
pub(crate) fn run(arguments: &Dev, output: &Output) -> Result<Exit, Failure> {
    let output = if arguments.json { output.with_form(Form::Jsonl) } else { *output };
    let screen = Screen::new(output);
    let log = screen.log_writer();
    logs::to(move || log.clone(), "warn");
    runtime()?.block_on(trial(arguments, screen))
}

async fn trial(arguments: &Dev, screen: Screen) -> Result<Exit, Failure> {
    let mut interrupt = Interrupt::listen().map_err(Failure::of)?;
    let settings = sample::settings(arguments);
    let mut server = Server::start(settings).await.map_err(Failure::of)?;
    let addresses = (reachable(server.http()), reachable(server.coap()));
    let started = start(arguments, screen, addresses);
    let result = match started {
        Err(failure) => Err(failure),
        Ok((mut fleet, mut follow)) => {
            let result = tokio::select! {
                biased;
                () = interrupt.wait() => follow.interrupted(),
                error = server.broken() => Err(Failure::of(error)),
                failure = fleet.broken() => Err(failure),
                result = follow.run() => result,
            };
            follow.close();
            fleet.stop().await;
            result
        }
    };
    server.stop().await;
    Ok(match result? {
        Ending::Ended(exit) => exit,
        Ending::Interrupted if arguments.once => Exit::TimedOut,
        Ending::Interrupted => Exit::Done,
    })
}

fn start(
    arguments: &Dev,
    screen: Screen,
    (http, coap): (SocketAddr, SocketAddr),
) -> Result<(Fleet, Follow), Failure> {
    let client = Client::new(&format!("http://{http}"))?;
    let sample = Sample::new(arguments)?;
    let follow = Follow::new(client, sample, screen, arguments)?;
    let fleet = Fleet::start(arguments, coap)?;
    Ok((fleet, follow))
}

/// An address at which this machine reaches a socket that may listen on every interface.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}
