//! The CoAP port: several sockets on one address.
//!
//! The kernel gives a socket room for a few hundred datagrams and drops the rest, whoever sent
//! them. Where it can (Linux), it spreads peers over sockets that share an address, by a keyed hash
//! of theirs: each has room of its own, so that who floods one harms only the peers beside it, and
//! a storm of registrations finds many times the room.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

/// Sockets on the port. Each costs a file descriptor and its receive buffer.
const SOCKETS: usize = if cfg!(target_os = "linux") { 64 } else { 1 };

/// Binds the sockets; `buffer_bytes` is what all their receive buffers together should have.
///
/// # Errors
/// Those of the system: the port is used, or not allowed, or the address is not ours.
pub(crate) fn bind(address: SocketAddr, buffer_bytes: usize) -> io::Result<Vec<UdpSocket>> {
    if address.port() != 0 {
        // Sockets that share a port would also join another server's; alone, none can.
        drop(open(address, false)?);
    }
    let first = open(address, SOCKETS > 1)?;
    let bound = first.local_addr()?.as_socket().unwrap_or(address);
    let mut sockets = vec![first];
    while sockets.len() < SOCKETS {
        sockets.push(open(bound, true)?);
    }
    sockets
        .into_iter()
        .map(|socket| {
            // A smaller buffer than asked for is no reason not to start: CoAP repeats.
            drop(socket.set_recv_buffer_size(buffer_bytes / SOCKETS));
            UdpSocket::from_std(socket.into())
        })
        .collect()
}

fn open(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    share(&socket, shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

#[cfg(target_os = "linux")]
fn share(socket: &Socket, shared: bool) -> io::Result<()> {
    socket.set_reuse_port(shared)
}

#[cfg(not(target_os = "linux"))]
fn share(_: &Socket, _: bool) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[tokio::test]
    async fn a_port_is_taken_whole_or_not_at_all() {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let sockets = bind(free, 1 << 20).unwrap();
        let address = sockets[0].local_addr().unwrap();
        assert_eq!(sockets.len(), SOCKETS);
        assert!(sockets.iter().all(|socket| socket.local_addr().unwrap() == address));
        // A second server is refused although the sockets share the port.
        assert_eq!(bind(address, 1 << 20).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(sockets);
        assert!(bind(address, 1 << 20).is_ok());
    }

    #[tokio::test]
    async fn every_peer_arrives_somewhere() {
        let sockets = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), 1 << 20).unwrap();
        let address = sockets[0].local_addr().unwrap();
        let peers: Vec<std::net::UdpSocket> =
            (0..50).map(|_| std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).collect();
        for peer in &peers {
            peer.send_to(b"hello", address).unwrap();
        }
        let mut arrived = 0;
        for _ in 0..100 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            for socket in &sockets {
                while socket.try_recv(&mut [0; 8]).is_ok() {
                    arrived += 1;
                }
            }
            if arrived == peers.len() {
                return;
            }
        }
        panic!("{arrived} of {} datagrams arrived", peers.len());
    }
}
