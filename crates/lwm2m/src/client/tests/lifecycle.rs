//! Register, Update, Deregister and queue mode (LwM2M Core 1.1, 6.2 and 6.5).

use coap::Code;

use super::super::tree::TreeError;
use super::*;
use crate::LwM2mVersion;

const LINKS: &str = "</1/0>,</2>,</3/0>,</3303/0>,</3306>;ver=1.1,</3306/0>,</5>;ver=1.1,</5/0>,\
                     </9999/0>";

/// Returns `LINKS` in the order of object identifiers.
fn links() -> String {
    LINKS.replace(",</5>;ver=1.1,</5/0>", "").replace("</3/0>,", "</3/0>,</5>;ver=1.1,</5/0>,")
}

/// LwM2M Core 1.1, 6.2.1: the queries, content format and links of Register.
#[test]
fn registers_updates_and_leaves() {
    let mut pair = Pair::new(client(config(), objects()));
    pair.client.start(pair.now);
    pair.run(1);
    let register = format!("0.02 /rd?lwm2m=1.1&ep=dev-1&b=U&lt=300 [40] {}", links());
    assert_eq!(pair.received, [register]);
    assert_eq!(pair.take_events(), [Event::Registered { location: "/rd/x1".to_owned() }]);
    pair.received.clear();
    // 300 s less 93 s, less at most a tenth at random.
    pair.run(185);
    assert!(pair.received.is_empty(), "{:?}", pair.received);
    pair.run(22);
    assert_eq!(pair.received, ["0.02 /rd/x1"]);
    assert_eq!(pair.take_events(), [Event::Updated]);
    pair.run(210);
    assert_eq!(pair.received.len(), 2);
    pair.client.stop(pair.now);
    pair.run(1);
    assert_eq!(pair.received.last().map(String::as_str), Some("0.04 /rd/x1"));
    assert_eq!(pair.take_events().last(), Some(&Event::Deregistered));
    assert!(!pair.client.is_registered());
    pair.received.clear();
    pair.run(10_000);
    assert!(pair.received.is_empty(), "{:?}", pair.received);
}

#[test]
fn announces_queue_mode_and_a_preferred_format() {
    let config = ClientConfig {
        queue_mode: true,
        lifetime_s: 0,
        preferred_format: Some(ContentFormat::SENML_JSON),
        ..config()
    };
    let mut pair = Pair::new(Client::new(config, ObjectTree::new(), None, 1).unwrap());
    pair.client.start(pair.now);
    pair.run(100_000);
    let links = "</>;rt=\"oma.lwm2m\";ct=110,</1/0>";
    let register = format!("0.02 /rd?lwm2m=1.1&ep=dev-1&b=U&lt=0&Q [40] {links}");
    // A lifetime of 0 never ends, so it needs no Update.
    assert_eq!(pair.received, [register]);
}

/// LwM2M Core 1.0, 5.3.1: queue mode is part of the binding, versions of objects are quoted.
#[test]
fn speaks_to_servers_of_1_0() {
    let config = ClientConfig { version: LwM2mVersion::V1_0, queue_mode: true, ..config() };
    let mut objects = ObjectTree::new();
    objects.object(3306, ObjectVersion::new(1, 1));
    let mut pair = Pair::new(Client::new(config, objects, None, 1).unwrap());
    pair.client.start(pair.now);
    pair.run(1);
    let links = "</1/0>,</3306>;ver=\"1.1\"";
    let register = format!("0.02 /rd?lwm2m=1.0&ep=dev-1&b=UQ&lt=300 [40] {links}");
    assert_eq!(pair.received, [register]);
}

/// Some servers give a path with an empty segment at its end; it is sent back as it came.
#[test]
fn the_location_is_taken_as_it_is() {
    let mut pair = Pair::new(client(config(), objects()));
    pair.script.location = &["reg", "1", ""];
    pair.start();
    pair.client.update_registration(pair.now);
    pair.run(1);
    pair.client.stop(pair.now);
    pair.run(1);
    assert_eq!(pair.received, ["0.02 /reg/1/", "0.04 /reg/1/"]);
}

/// LwM2M Core 1.1, 6.2.2: a server that does not know the registration is registered with again.
#[test]
fn registers_again_when_the_server_forgot() {
    let mut pair = registered();
    pair.script.update = Code::NOT_FOUND;
    pair.run(210);
    assert_eq!(pair.received[0], "0.02 /rd/x1");
    assert!(pair.received[1].starts_with("0.02 /rd?lwm2m=1.1"), "{:?}", pair.received);
    let lost = [Event::RegistrationLost, Event::Registered { location: "/rd/x1".to_owned() }];
    assert_eq!(pair.take_events(), lost);
}

#[test]
fn registers_again_after_silence_with_growing_waits() {
    let mut pair = registered();
    pair.script.silent = true;
    pair.run(3 * 3600);
    assert!(!pair.client.is_registered());
    let events = pair.take_events();
    assert_eq!(events[0], Event::RegistrationLost);
    let failures = events.len() - 1;
    // Each attempt takes 62 to 93 s; waits are 30 to 60 s at first and an hour at most.
    assert!((7..=12).contains(&failures), "{failures} attempts");
    pair.script.silent = false;
    pair.run(3700);
    assert!(pair.client.is_registered());
}

#[test]
fn tries_again_when_refused() {
    let mut pair = Pair::new(client(config(), objects()));
    pair.script.register = Code::FORBIDDEN;
    pair.client.start(pair.now);
    pair.run(100);
    let refused = Event::RegistrationRefused { code: Code::FORBIDDEN };
    assert_eq!(pair.take_events(), [refused.clone(), refused]);
    pair.script.register = Code::CREATED;
    pair.run(120);
    assert!(pair.client.is_registered());
}

/// LwM2M Core 1.1, E.2: Registration Update Trigger, Lifetime and Disable.
#[test]
fn the_server_object_steers_the_registration() {
    let mut pair = registered();
    let changed = Code::CHANGED.to_string();
    assert_eq!(ask(&mut pair, "/1/0/8", Request::post("/1/0/8")), changed);
    pair.run(1);
    assert_eq!(pair.received, ["0.02 /rd/x1"]);
    let write = Request::put("/1/0/1").content_format(0).payload("60");
    assert_eq!(ask(&mut pair, "/1/0/1", write), changed);
    pair.run(1);
    assert_eq!(pair.received[1..], ["0.02 /rd/x1?lt=60"]);
    pair.run(35);
    assert_eq!(pair.received[2..], ["0.02 /rd/x1"]);
    let write = Request::put("/1/0/5").content_format(0).payload("500");
    assert_eq!(ask(&mut pair, "/1/0/5", write), changed);
    assert_eq!(ask(&mut pair, "/1/0/4", Request::post("/1/0/4")), changed);
    pair.run(499);
    assert_eq!(pair.received[3..], ["0.04 /rd/x1"]);
    pair.run(2);
    assert!(pair.received[4].starts_with("0.02 /rd?lwm2m=1.1&ep=dev-1&b=U&lt=60"));
    assert!(pair.client.is_registered());
}

/// LwM2M Core 1.1, 6.2.2: changed objects are told by an Update with the whole list.
#[test]
fn changed_objects_are_told() {
    let mut pair = registered();
    pair.client.change_objects(pair.now, |objects| {
        objects.remove(path("/9999"));
        objects.single(path("/3303/1/5700"), Operations::Read, Value::Float(1.0));
    });
    pair.run(1);
    let links = links().replace("</3303/0>", "</3303/0>,</3303/1>").replace(",</9999/0>", "");
    assert_eq!(pair.received, [format!("0.02 /rd/x1 [40] {links}")]);
    // Values alone are no news for the registration.
    let missing = pair.client.set(path("/9999/0/1"), Value::Integer(1), pair.now);
    assert_eq!(missing, Err(TreeError::NotFound(path("/9999/0/1"))));
    pair.client.set(path("/3303/1/5700"), Value::Float(2.0), pair.now).unwrap();
    pair.run(1);
    assert_eq!(pair.received.len(), 1);
}

#[test]
fn turns_to_another_server() {
    let mut pair = registered();
    pair.script.silent = true;
    pair.client.update_registration(pair.now);
    pair.run(10);
    pair.script.silent = false;
    let other = "10.0.0.1:7683".parse().unwrap();
    pair.client.change_server(other, pair.now);
    assert_eq!(pair.client.server(), other);
    let mut sent = std::iter::from_fn(|| pair.client.poll_transmit());
    let first = sent.next().unwrap();
    assert_eq!(first.peer, other);
    assert!(first.datagram.windows(5).any(|bytes| bytes == b"dev-1"));
}

/// LwM2M Core 1.1, 6.5: in queue mode the client listens for MAX_TRANSMIT_WAIT after a contact.
#[test]
fn sleeps_in_queue_mode() {
    let config = ClientConfig { queue_mode: true, lifetime_s: 2000, ..config() };
    let mut pair = Pair::new(client(config, objects()));
    pair.start();
    pair.run(80);
    assert!(pair.client.is_awake(pair.now));
    let battery = || Request::get("/3/0/9");
    assert_eq!(ask(&mut pair, "/3/0/9", battery()), "2.05 text 80");
    pair.run(90);
    assert!(pair.client.is_awake(pair.now));
    pair.run(4);
    assert!(!pair.client.is_awake(pair.now));
    let id = pair.server.request(pair::DEVICE, battery(), pair.now).unwrap();
    pair.run(100);
    assert_eq!(pair.answer(id), Some(Err(coap::Failure::Timeout)));
    pair.client.update_registration(pair.now);
    pair.run(1);
    assert_eq!(ask(&mut pair, "/3/0/9", battery()), "2.05 text 80");
}

#[test]
fn lossy_networks_delay_the_registration_only() {
    for (loss_percent, duplicate_percent) in [(40, 0), (30, 50), (0, 100), (20, 30)] {
        let mut pair = Pair::new(client(config(), objects()));
        (pair.loss_percent, pair.duplicate_percent) = (loss_percent, duplicate_percent);
        pair.client.start(pair.now);
        pair.run(100);
        assert!(pair.client.is_registered(), "{loss_percent} {duplicate_percent}");
        assert_eq!(pair.received.len(), 1, "{loss_percent} {duplicate_percent}");
    }
}
