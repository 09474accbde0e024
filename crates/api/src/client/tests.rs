//! The client against a server of a few lines.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use super::*;
use crate::{EventKind, ProblemCode};

/// Answers one request on each connection and hands over what was asked.
fn serve(answers: Vec<String>) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (asked, requests) = channel();
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                reader.read_line(&mut head).unwrap();
            }
            let length: usize = head
                .lines()
                .find_map(|line| {
                    line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok()
                })
                .unwrap_or(0);
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            asked.send(format!("{head}{}", String::from_utf8(body).unwrap())).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    (address, requests)
}

fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn addresses_are_checked() {
    for (address, good) in [
        ("http://127.0.0.1:8080", true),
        ("http://127.0.0.1:8080/", true),
        ("https://fleet.example/bellwether", true),
        ("127.0.0.1:8080", false),
        ("coap://127.0.0.1", false),
        ("http://", false),
        ("", false),
    ] {
        assert_eq!(Client::new(address).is_ok(), good, "{address}");
    }
}

#[test]
fn requests_have_the_documented_form() {
    let version = r#"{"product":"bellwether","version":"0.1.0","api":"v1"}"#;
    let page = r#"{"items":[],"next":"dev-9"}"#;
    let done =
        r#"{"path":"/1/0/1","code":"2.04","at":"2026-11-22T09:00:00.000Z","round_trip_ms":3}"#;
    let receipt = r#"{"sha256":"aa","size":5,"existed":false}"#;
    let (address, asked) =
        serve([version, page, done, "[]", receipt].map(|body| answer("200 OK", body)).into());
    let client = Client::new(&address).unwrap();
    let next = |expected: &str, ending: &str| {
        let request = asked.recv().unwrap();
        assert!(request.starts_with(expected), "{request}");
        assert!(request.ends_with(ending), "{request}");
    };

    assert_eq!(client.version().unwrap().api, "v1");
    next("GET /version HTTP/1.1\r\n", "\r\n\r\n");
    let query = DeviceQuery {
        limit: Some(5),
        q: Some("a&b".to_owned()),
        presence: Some(crate::Presence::Asleep),
        ..DeviceQuery::default()
    };
    assert_eq!(client.devices(&query).unwrap().next.as_deref(), Some("dev-9"));
    next("GET /api/v1/devices?limit=5&presence=asleep&q=a%26b HTTP/1.1\r\n", "\r\n\r\n");
    assert_eq!(client.write("dev-1", "/1/0/1", Value::Integer(60)).unwrap().code, "2.04");
    next(
        "PUT /api/v1/devices/dev-1/values?path=%2F1%2F0%2F1 HTTP/1.1\r\n",
        "{\n  \"value\": 60\n}",
    );
    assert_eq!(client.why("dev-1", Some("op-1")).unwrap(), []);
    next("GET /api/v1/devices/dev-1/why?operation=op-1 HTTP/1.1\r\n", "\r\n\r\n");
    assert_eq!(client.upload("aa", 5, &b"image"[..]).unwrap().size, 5);
    next("PUT /api/v1/artifacts/aa HTTP/1.1\r\n", "\r\n\r\nimage");
}

#[test]
fn refusals_and_faults_are_told_apart() {
    let problem = Problem::new(ProblemCode::Conflict, "op-1 is aborted").hint("publish a new one");
    let (address, _asked) = serve(vec![
        answer("409 Conflict", &serde_json::to_string(&problem).unwrap()),
        answer("502 Bad Gateway", "<h1>proxy</h1>"),
        answer("200 OK", "<h1>welcome</h1>"),
        "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{".to_owned(),
    ]);
    let client = Client::new(&address).unwrap();
    let refused = client.pause("op-1", &OrderRequest::default()).unwrap_err();
    assert_eq!(refused.to_string(), "op-1 is aborted; publish a new one");
    assert_eq!(refused.problem(), Some(&problem));
    assert!(matches!(client.fleet(), Err(ClientError::NotUnderstood { .. })));
    assert!(matches!(client.fleet(), Err(ClientError::NotUnderstood { .. })));
    assert!(matches!(client.fleet(), Err(ClientError::Broken { .. })));

    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = Client::new(&format!("http://{closed}")).unwrap().fleet().unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("bellwether serve"), "{error}");
}

#[test]
fn events_come_one_by_one_and_go_on_after_the_last() {
    let event = r#"{"id":41,"at":"2026-11-22T09:00:00.000Z","type":"operation_opened","operation":{"id":1,"name":"op-1"},"release":{"id":2,"name":"rel-2","release":"ws200","version":"1.1.0"},"targets":9}"#;
    let (address, asked) = serve(vec![format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n: hello\n\nid: 41\nevent: operation_opened\ndata: {event}\n\n"
    )]);
    let client = Client::new(&address).unwrap();
    let mut events = client.events(Some(40)).unwrap();
    let seen: Vec<_> = events.by_ref().collect();
    assert_eq!(seen.len(), 1);
    let event = seen.into_iter().next().unwrap().unwrap();
    assert!(matches!(event.kind, EventKind::OperationOpened { targets: 9, .. }));
    assert_eq!(events.last_id(), Some(41));
    assert!(asked.recv().unwrap().to_ascii_lowercase().contains("last-event-id: 40"));
}
