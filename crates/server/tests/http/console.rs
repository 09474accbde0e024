//! The console's pages, forms and live fragments.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::device::Device;
use crate::place::{Folder, Place, until};

/// The value of the token in the forms of a page.
fn token(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"csrf\" value=\"").expect("a form");
    rest.split('"').next().expect("a value").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_is_shown_and_guarded() {
    let folder = Folder::new();
    let place = Place::start(folder.settings()).await;
    let device = Device::start("<img onerror=x>", place.server.coap());
    until("it is known", async || place.call(api::client::Client::fleet).await.devices == 1).await;
    place.publish("1.1.0", true).await;
    for path in [
        "/",
        "/devices",
        "/devices?q=&model=&presence=",
        "/devices/dev-1",
        "/devices/%3Cimg%20onerror%3Dx%3E",
        "/releases",
        "/releases/rel-1",
        "/operations",
        "/operations/op-1",
        "/operations/op-1/decisions",
        "/operations/op-1/devices",
    ] {
        let page = place.raw(&format!("GET {path}"), "").await;
        assert_eq!(page.status, 200, "{path}: {}", page.body);
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        let policy = page.header("content-security-policy");
        assert!(policy.contains("default-src 'none'"), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert_eq!(page.header("referrer-policy"), "no-referrer");
        assert_eq!(page.header("cache-control"), "no-store");
        assert!(!page.body.contains("<img"), "{path}");
        let (_, rest) = page.body.split_once("rel=\"stylesheet\" href=\"").expect("a style sheet");
        let style = rest.split('"').next().expect("an address");
        let style = place.raw(&format!("GET {style}"), "").await;
        assert_eq!((style.status, style.header("content-type")), (200, "text/css; charset=utf-8"));
        assert!(style.header("cache-control").contains("immutable"));
    }
    let missing = place.raw("GET /devices/dev-9\nAccept: text/html", "").await;
    assert_eq!(missing.status, 404);
    assert!(missing.body.contains("<h1>Not found</h1>"), "{}", missing.body);
    let nowhere = place.raw("GET /nowhere\nAccept: text/html", "").await;
    assert_eq!((nowhere.status, nowhere.header("content-type")), (404, "text/html; charset=utf-8"));
    assert_eq!(place.raw("GET /assets/console.css", "").await.status, 404);
    drop(device);
    place.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forms_need_their_token() {
    let folder = Folder::new();
    let place = Place::start(folder.settings()).await;
    place.publish("1.1.0", true).await;
    let page = place.raw("GET /operations/op-1", "").await;
    let form = "\nContent-Type: application/x-www-form-urlencoded";
    let pause = format!("POST /operations/op-1/pause{form}");
    let answer = place.raw(&pause, "reason=lunch").await;
    assert_eq!(answer.status, 403, "{answer:?}");
    assert_eq!(answer.problem().code, api::ProblemCode::ForgeryToken);
    let body = format!("reason=lunch&csrf={}", token(&page.body));
    let answer = place.raw(&pause, &body).await;
    assert_eq!((answer.status, answer.header("location")), (303, "/operations/op-1"));
    let operation = place.call(|client| client.operation("op-1")).await;
    assert_eq!(operation.summary.state, api::OperationState::Paused);
    assert_eq!(operation.summary.last_decision, "Pause: ordered by console: lunch");
    let answer = place.raw(&format!("{pause}\nAccept: text/html"), &body).await;
    assert_eq!(answer.status, 409);
    assert!(answer.body.contains("already paused"), "{}", answer.body);
    for (order, state) in
        [("resume", api::OperationState::Pending), ("abort", api::OperationState::Aborted)]
    {
        let answer = place.raw(&format!("POST /operations/op-1/{order}{form}"), &body).await;
        assert_eq!(answer.status, 303);
        let operation = place.call(|client| client.operation("op-1")).await;
        assert_eq!(operation.summary.state, state);
    }
    let body = format!("theme=dark&next=%2F%2Fevil.example&csrf={}", token(&page.body));
    let answer = place.raw(&format!("POST /console/theme{form}"), &body).await;
    assert_eq!((answer.status, answer.header("location")), (303, "/"));
    assert!(answer.header("set-cookie").starts_with("theme=dark; Path=/;"));
    let dark = place.raw("GET /\nCookie: theme=dark", "").await;
    assert!(dark.body.contains("data-theme=\"dark\""));
    place.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_kept_current() {
    let folder = Folder::new();
    let place = Place::start(folder.settings()).await;
    let address = place.server.http();
    let (seen, mut lines) = tokio::sync::mpsc::unbounded_channel();
    let reading = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
        let request =
            format!("GET /console/events?page=%2Freleases HTTP/1.1\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it reads");
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if seen.send(line).is_err() {
                return;
            }
        }
    });
    let mut wait_for = async |what: &str| loop {
        let line = tokio::time::timeout(Duration::from_secs(10), lines.recv()).await;
        let line = line.unwrap_or_else(|_| panic!("{what} was never told")).expect("a stream");
        if line.to_ascii_lowercase().contains(what) {
            break;
        }
    };
    wait_for("x-accel-buffering: no").await;
    wait_for("event: fragment").await;
    wait_for("no release yet").await;
    place.publish("1.1.0", false).await;
    wait_for("event: fragment").await;
    wait_for("ws200-firmware").await;
    place.stop().await;
    reading.join().expect("the stream ends");

    let place = Place::start(folder.settings()).await;
    let answer = place.raw("GET /console/events?page=/nowhere", "").await;
    assert_eq!(answer.status, 404);
    place.stop().await;
}
