//! `serve`.

use server::{Server, Settings};

use super::runtime;
use crate::arguments::Serve;
use crate::failure::{Exit, Failure};
use crate::logs;
use crate::output::Output;
use crate::signal::Interrupt;

/// Runs a server until it is told to end or cannot go on.
pub(super) fn run(arguments: &Serve, output: &Output) -> Result<Exit, Failure> {
    logs::to(std::io::stderr, "info");
    let settings = settings(arguments)?;
    runtime()?.block_on(serve(settings, output))
}

fn settings(arguments: &Serve) -> Result<Settings, Failure> {
    let mut settings = match &arguments.config {
        Some(path) => Settings::read(path).map_err(Failure::of)?,
        None => Settings::default(),
    };
    if let Some(data) = &arguments.data {
        settings.data.clone_from(data);
    }
    if let Some(http) = arguments.http {
        settings.http = http;
    }
    if let Some(coap) = arguments.coap {
        settings.coap = coap;
    }
    Ok(settings)
}

async fn serve(settings: Settings, output: &Output) -> Result<Exit, Failure> {
    let mut interrupt = Interrupt::listen().map_err(Failure::of)?;
    let data = settings.data.clone();
    let mut server = Server::start(settings).await.map_err(Failure::of)?;
    output.note(&format!("console  http://{}/", server.http()));
    output.note(&format!("devices  coap://{}", server.coap()));
    output.note(&format!("data     {}", data.display()));
    let result = tokio::select! {
        () = interrupt.wait() => Ok(Exit::Done),
        error = server.broken() => Err(Failure::of(error)),
    };
    server.stop().await;
    result
}
