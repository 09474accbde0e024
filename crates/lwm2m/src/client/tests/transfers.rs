//! Whole firmware updates by pull and by push (LwM2M Core 1.1, E.6), and downloads of the owner.

use super::super::{DownloadFailure, ImageId};
use super::*;
use crate::firmware::{self, State, UpdateResult};

const URI: &str = "coap://10.0.0.1/fw/app.bin";

fn image(bytes: usize) -> Bytes {
    (0..bytes).map(|at| u8::try_from(at % 251).unwrap()).collect::<Vec<_>>().into()
}

fn serving(bytes: usize) -> Pair {
    let mut pair = registered();
    pair.script.files.insert("/fw/app.bin".to_owned(), image(bytes));
    pair
}

fn write_uri(pair: &mut Pair, uri: &str) -> String {
    ask(pair, "/", Request::put("/5/0/1").content_format(0).payload(uri.to_owned()))
}

fn push(pair: &mut Pair, bytes: Bytes) -> String {
    ask(pair, "/", Request::put("/5/0/0").content_format(42).payload(bytes))
}

fn execute(pair: &mut Pair, at: &str) -> String {
    ask(pair, "/", Request::post(at))
}

/// Returns `STATE,RESULT` as the server reads them.
fn state(pair: &mut Pair) -> String {
    let mut read = |at: &str| pair.ask(Request::get(at)).payload;
    let texts = [read("/5/0/3"), read("/5/0/5")];
    texts.map(|text| String::from_utf8_lossy(&text).into_owned()).join(",")
}

fn received_image(pair: &mut Pair) -> (ImageId, Bytes) {
    let received = pair.take_events().into_iter().find_map(|event| match event {
        Event::ImageReceived { id, image } => Some((id, image)),
        _ => None,
    });
    received.expect("no image")
}

fn changes(events: &[Event]) -> String {
    let changes = events.iter().filter_map(|event| match event {
        Event::FirmwareChanged { state, result } => {
            Some(format!("{},{}", state.number(), result.number()))
        }
        _ => None,
    });
    changes.collect::<Vec<_>>().join(" ")
}

fn install(pair: &mut Pair) {
    assert_eq!(execute(pair, "/5/0/2"), "2.04");
    assert!(pair.take_events().contains(&Event::InstallRequested));
    assert_eq!(state(pair), "3,0");
    assert!(pair.client.install_succeeded("2.0", pair.now));
    assert_eq!(state(pair), "0,1");
    let version = pair.client.value(firmware::VERSION).map(Value::to_string);
    assert_eq!(version.as_deref(), Some("2.0"));
}

#[test]
fn an_update_by_pull() {
    for (loss_percent, duplicate_percent) in [(0, 0), (15, 0), (0, 50), (15, 30)] {
        let mut pair = serving(50_000);
        (pair.loss_percent, pair.duplicate_percent) = (loss_percent, duplicate_percent);
        assert_eq!(write_uri(&mut pair, URI), "2.04");
        pair.run(600);
        let (id, received) = received_image(&mut pair);
        assert_eq!(received, image(50_000));
        assert_eq!(state(&mut pair), "1,0");
        assert!(pair.client.accept_image(id, pair.now));
        assert_eq!(state(&mut pair), "2,0");
        install(&mut pair);
    }
}

#[test]
fn an_update_by_push() {
    for (loss_percent, duplicate_percent) in [(0, 0), (15, 0), (0, 50), (15, 30)] {
        let mut pair = registered();
        (pair.loss_percent, pair.duplicate_percent) = (loss_percent, duplicate_percent);
        assert_eq!(push(&mut pair, image(50_000)), "2.04");
        let (id, received) = received_image(&mut pair);
        assert_eq!(received, image(50_000));
        assert_eq!(state(&mut pair), "1,0");
        assert!(pair.client.accept_image(id, pair.now));
        assert_eq!(state(&mut pair), "2,0");
        install(&mut pair);
    }
}

/// A server that observes State sees each step, with the result already in place.
#[test]
fn the_server_follows_the_state() {
    let mut pair = serving(3000);
    pair.observe(Request::get("/5/0/3").observe(0));
    pair.observe(Request::get("/5/0/5").observe(0));
    pair.take_events();
    write_uri(&mut pair, URI);
    pair.run(5);
    let events = pair.take_events();
    assert_eq!(changes(&events), "1,0");
    let progress = events.iter().filter(|event| matches!(event, Event::Progress { .. }));
    assert!(progress.count() >= 2, "{events:?}");
    pair.events = events;
    let (id, _) = received_image(&mut pair);
    assert!(pair.client.reject_image(id, UpdateResult::IntegrityFailure, pair.now));
    pair.run(5);
    let values: Vec<_> = pair.notifications.iter().map(|(_, _, it)| it.payload.clone()).collect();
    assert_eq!(values, ["1", "5", "0"].map(Bytes::from));
}

#[test]
fn pulls_fail_with_the_result_of_the_specification() {
    let check = |uri: &str, answer: &str, after: &str, prepare: fn(&mut Pair)| {
        let mut pair = serving(3000);
        prepare(&mut pair);
        assert_eq!(write_uri(&mut pair, uri), answer, "{uri}");
        pair.run(300);
        assert_eq!(state(&mut pair), after, "{uri}");
        assert_eq!(execute(&mut pair, "/5/0/2"), "4.05");
    };
    check("coap://10.0.0.1/none", "2.04", "0,7", |_| {});
    check("coap://updates.example/fw", "4.00", "0,7", |_| {});
    check("fw", "4.00", "0,7", |_| {});
    check("https://10.0.0.1/fw", "4.00", "0,9", |_| {});
    check("coap://10.66.66.66/fw", "2.04", "0,4", |_| {});
    check(URI, "2.04", "0,2", |pair| {
        pair.script.files.insert("/fw/app.bin".to_owned(), image(200_001));
    });
}

/// The peer vanishes in the middle of the transfer.
#[test]
fn a_broken_pull_is_a_lost_connection() {
    let mut pair = serving(50_000);
    write_uri(&mut pair, URI);
    pair.script.silent = true;
    pair.run(200);
    assert_eq!(changes(&pair.take_events()), "1,0 0,4");
    let result = pair.client.firmware().map(FirmwareObject::result);
    assert_eq!(result, Some(UpdateResult::ConnectionLost));
}

#[test]
fn verdicts_and_installations_fail() {
    let check = |step: &dyn Fn(&mut Pair, ImageId), after: &str| {
        let mut pair = registered();
        push(&mut pair, image(1000));
        let (id, _) = received_image(&mut pair);
        step(&mut pair, id);
        assert_eq!(state(&mut pair), after);
    };
    let reject = |result| {
        move |pair: &mut Pair, id| {
            assert!(pair.client.reject_image(id, result, pair.now));
        }
    };
    check(&reject(UpdateResult::IntegrityFailure), "0,5");
    check(&reject(UpdateResult::UnsupportedType), "0,6");
    check(&reject(UpdateResult::OutOfRam), "0,3");
    check(&reject(UpdateResult::NotEnoughFlash), "0,2");
    let fail = |result, image_kept| {
        move |pair: &mut Pair, id| {
            assert!(pair.client.accept_image(id, pair.now));
            assert_eq!(execute(pair, "/5/0/2"), "2.04");
            assert!(pair.client.install_failed(result, image_kept, pair.now));
        }
    };
    check(&fail(UpdateResult::UpdateFailed, false), "0,8");
    check(&fail(UpdateResult::UpdateFailed, true), "2,8");
    check(&fail(UpdateResult::Deferred, true), "2,11");
    check(
        &|pair, id| {
            assert!(pair.client.accept_image(id, pair.now));
            assert_eq!(execute(pair, "/5/0/10"), "2.04");
        },
        "0,10",
    );
    check(
        &|pair, id| {
            assert_eq!(push(pair, Bytes::from_static(b"\0")), "2.04");
            assert!(!pair.client.accept_image(id, pair.now));
        },
        "0,0",
    );
}

#[test]
fn pushes_are_refused() {
    let mut pair = registered();
    assert_eq!(push(&mut pair, image(200_001)), "4.00");
    assert_eq!(state(&mut pair), "0,2");
    assert_eq!(push(&mut pair, image(300_000)), "4.13");
    push(&mut pair, image(10));
    assert_eq!(push(&mut pair, image(10)), "4.05");
    assert_eq!(execute(&mut pair, "/5/0/2"), "4.05");
    assert_eq!(write_uri(&mut pair, ""), "2.04");
    assert_eq!(state(&mut pair), "0,0");
}

/// An empty Package URI stops the download that is running.
#[test]
fn a_reset_stops_the_pull() {
    let mut pair = serving(100_000);
    write_uri(&mut pair, URI);
    assert_eq!(write_uri(&mut pair, ""), "2.04");
    pair.received.clear();
    pair.run(100);
    assert!(pair.received.len() <= 1, "{:?}", pair.received);
    assert_eq!(state(&mut pair), "0,0");
    write_uri(&mut pair, URI);
    pair.run(100);
    received_image(&mut pair);
}

/// The package may come in TLV, and the URI with it in one write of the instance.
#[test]
fn packages_arrive_in_other_formats() {
    let mut pair = registered();
    let leaf = Leaf::new(firmware::PACKAGE, Value::Opaque(image(5000)));
    for format in [ContentFormat::TLV, ContentFormat::SENML_CBOR] {
        let payload = crate::encode(format, firmware::PACKAGE, std::slice::from_ref(&leaf));
        let request = Request::put("/5/0/0").content_format(format.0).payload(payload.unwrap());
        assert_eq!(ask(&mut pair, "/", request), "2.04", "{format}");
        assert_eq!(received_image(&mut pair).1, image(5000), "{format}");
        assert_eq!(write_uri(&mut pair, ""), "2.04");
    }
}

/// A device that restarts to install reports the outcome with its next registration.
#[test]
fn a_restarted_device_registers_with_the_result() {
    let firmware = FirmwareObject::new("app", "1.0", Delivery::Pull, 1000);
    let firmware = firmware.resume(UpdateResult::Success, "2.0");
    let mut pair = Pair::new(Client::new(config(), objects(), Some(firmware), 8).unwrap());
    pair.start();
    assert_eq!(state(&mut pair), "0,1");
    assert_eq!(pair.client.firmware().map(FirmwareObject::state), Some(State::Idle));
    let response = pair.ask(Request::get("/5/0").accept(ContentFormat::SENML_CBOR.0));
    let expected = "2.05 SenML-CBOR /5/0/1= /5/0/3=0 /5/0/5=1 /5/0/6=app /5/0/7=2.0 /5/0/8/0=0 \
                    /5/0/9=0";
    assert_eq!(show("/5/0", &response), expected);
}

#[test]
fn the_owner_downloads() {
    let mut pair = serving(5000);
    let request = pair.client.get(URI, 10_000, pair.now).unwrap();
    pair.run(5);
    let downloaded = Event::Downloaded { request, content: image(5000) };
    assert!(pair.take_events().contains(&downloaded));
    let request = pair.client.get("coap://10.0.0.1/none", 10_000, pair.now).unwrap();
    pair.run(5);
    let cause = DownloadFailure::Refused(coap::Code::NOT_FOUND);
    assert_eq!(pair.take_events(), [Event::DownloadFailed { request, cause }]);
    let request = pair.client.get(URI, 100, pair.now).unwrap();
    pair.run(5);
    let cause = DownloadFailure::Failed(coap::Failure::TooLarge);
    assert_eq!(pair.take_events().last(), Some(&Event::DownloadFailed { request, cause }));
    assert!(pair.client.get("ftp://10.0.0.1/x", 10, pair.now).is_err());
}

/// A registration does not wait for the end of a download from the same server.
#[test]
fn updates_pass_a_long_download() {
    let mut pair = serving(190_000);
    write_uri(&mut pair, URI);
    pair.client.update_registration(pair.now);
    pair.run(1);
    assert!(pair.take_events().contains(&Event::Updated));
    assert_eq!(pair.client.firmware().map(FirmwareObject::state), Some(State::Downloading));
}
