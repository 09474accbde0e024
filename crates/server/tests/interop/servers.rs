//! The simulated fleet at servers that others wrote.

use std::net::{Ipv4Addr, UdpSocket};
use std::process::Command;

use crate::peer::{Peer, Peers, bellwether, installed, run};
use crate::place::eventually;

/// aiocoap's resource directory takes registrations of LwM2M (RFC 9176 and LwM2M's own), and
/// hands out the links.
#[test]
fn aiocoap_lists_the_simulated_fleet() {
    let Some((peers, fleet)) = judged("aiocoap_lists_the_simulated_fleet") else { return };
    let port = free_port();
    let mut directory = peers.aiocoap("rd");
    directory.args(["--bind", &format!("127.0.0.1:{port}")]);
    let _directory = Peer::start(directory);
    let lookup = |kind: &str| {
        let mut client = peers.aiocoap("client");
        client.args(["-q", &format!("coap://127.0.0.1:{port}/{kind}-lookup/")]);
        String::from_utf8_lossy(&run(client).stdout).into_owned()
    };
    eventually("the directory", || lookup("endpoint").is_empty().then_some(()));

    let _fleet = start(fleet, port, 6);
    // Not all six: some of a fleet arrive minutes later, and some leave.
    eventually("four registrations and the first device's among them", || {
        let endpoints = lookup("endpoint");
        let first = endpoints.contains("ep=\"ws200-00001\"");
        (first && endpoints.matches("lwm2m=").count() >= 4).then_some(())
    });
    let links = lookup("resource");
    for link in ["/3/0>", "/4/0>", "/5/0>"] {
        assert!(links.contains(link), "{link}: {links}");
    }
}

/// lwm2m-node-lib as a server: registration, reads of single resources, Discover, a write that
/// takes effect, an observation.
#[test]
fn lwm2m_node_lib_reads_the_simulated_fleet() {
    let name = "lwm2m_node_lib_reads_the_simulated_fleet";
    let Some((peers, fleet)) = judged(name) else { return };
    let port = free_port();
    let mut command = peers.node("lwm2m-node-lib-server.js");
    command.arg(port.to_string());
    let server = Peer::start(command);
    server.says("listening", 0);
    let _fleet = start(fleet, port, 3);
    for expected in [
        "registered ws200-00001",
        "</3/0>",
        "ws200-00001 read /3/0/0 ACME",
        "ws200-00001 read /3/0/1 WS-200",
        "ws200-00001 read /3/0/3 1.0.0",
        "ws200-00001 read /3/0/77 RESOURCE_NOT_FOUND",
        "ws200-00001 discover /3/0 </3/0>",
        "ws200-00001 write /1/0/1 done",
        "ws200-00001 read /1/0/1 77",
        "ws200-00001 observe /3/0/9",
    ] {
        server.says(expected, 0);
    }
}

/// What is needed to judge the fleet, or none after a word on what is missing.
fn judged(test: &str) -> Option<(Peers, Command)> {
    let peers = installed(test)?;
    let Some(fleet) = bellwether() else {
        println!("skipped {test}: BELLWETHER_BIN does not name the binary; run tests/interop/run");
        return None;
    };
    Some((peers, fleet))
}

fn start(mut fleet: Command, port: u16, devices: usize) -> Peer {
    fleet.args(["sim", "fleet", "--server", &format!("coap://127.0.0.1:{port}")]);
    fleet.args(["--devices", &devices.to_string()]);
    Peer::start(fleet)
}

/// A port that is free at this moment.
fn free_port() -> u16 {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    socket.local_addr().expect("an address").port()
}
