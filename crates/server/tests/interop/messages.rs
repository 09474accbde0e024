//! libcoap's client on plain CoAP: discovery, error codes, block-wise transfer.

use crate::peer::{installed, libcoap, run};
use crate::place::{Place, Target};

#[test]
fn libcoap_client() {
    let Some(_peers) = installed("libcoap_client") else { return };
    let place = Place::start();
    let check = |method: &str, path: &str, expected: &str| {
        let output = run(libcoap(method, &format!("coap://{}{path}", place.coap)));
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8_lossy(&printed);
        assert!(printed.contains(expected), "{method} {path}: {printed}");
    };
    // RFC 6690 §4.
    check("get", "/.well-known/core", "</rd>;rt=\"oma.lwm2m\"");
    // RFC 7252 §5.9.2.
    check("get", "/nowhere", "4.04");
    check("get", "/fw/0123456789abcdef", "4.04");
    check("put", "/.well-known/core", "4.05");
    check("post", "/fw/0123456789abcdef", "4.05");
    check("get", "/rd", "4.05");
    check("delete", "/rd/0-1", "4.04");
    check("post", "/rd?lt=60", "4.00");
    check("fetch", "/nowhere", "4.04");
}

/// RFC 7959: libcoap fetches an image in blocks of 1,024 and of 64 bytes.
#[test]
fn libcoap_downloads() {
    let Some(_peers) = installed("libcoap_downloads") else { return };
    let place = Place::start();
    // No two blocks are alike, and the last is not full.
    let image: Vec<u8> = (0..70_001_u32).flat_map(|n| n.to_le_bytes()).take(200_003).collect();
    let target = Target { manufacturer: "ACME", model: "WS-200" };
    let path = place.publish(target, "1.1.0", &image);
    for size in ["1024", "64"] {
        let file = std::env::temp_dir()
            .join(format!("bellwether-interop-{}-{size}.bin", std::process::id()));
        let mut command = libcoap("get", &format!("coap://{}{path}", place.coap));
        command.args(["-b", size]).arg("-o").arg(&file);
        let output = run(command);
        let received = std::fs::read(&file).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        drop(std::fs::remove_file(&file));
        assert!(received == image, "{} of {} bytes by {size}", received.len(), image.len());
    }
}
