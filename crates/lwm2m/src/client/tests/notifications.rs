//! Observe, Notify and the two ways to cancel (LwM2M Core 1.1, 6.4; RFC 7641).

use coap::RequestId;

use super::*;

const BATTERY: &str = "/3/0/9";

fn observe(pair: &mut Pair, at: &str) -> RequestId {
    let (id, response) = pair.observe(Request::get(at).observe(0));
    assert!(response.options.observe().is_some(), "{at}: {response:?}");
    pair.take_events();
    id
}

fn attributes(pair: &mut Pair, at: &str, queries: &str) {
    let request = queries.split('&').fold(Request::put(at), Request::query);
    assert_eq!(ask(pair, at, request), "2.04");
}

fn set_battery(pair: &mut Pair, level: i64) {
    pair.client.set(path(BATTERY), Value::Integer(level), pair.now).unwrap();
}

/// Sets levels a second apart and returns what arrived, as `SECOND:VALUE`.
fn arrivals(pair: &mut Pair, levels: &[i64], rest_s: u64) -> String {
    pair.notifications.clear();
    let start = pair.now;
    for level in levels {
        set_battery(pair, *level);
        pair.run(1);
    }
    pair.run(rest_s);
    let shown = pair.notifications.iter().map(|(at, _, response)| {
        let text = String::from_utf8_lossy(&response.payload);
        format!("{}:{text}", (*at - start).as_secs())
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// LwM2M Core 1.1, 7.3.2.
#[test]
fn notifications_obey_the_attributes() {
    let check = |queries: &str, levels: &[i64], rest_s: u64, expected: &str| {
        let mut pair = registered();
        if !queries.is_empty() {
            attributes(&mut pair, BATTERY, queries);
        }
        observe(&mut pair, BATTERY);
        assert_eq!(arrivals(&mut pair, levels, rest_s), expected, "{queries} {levels:?}");
    };
    check("", &[80, 80, 79, 79, 78], 100, "2:79 4:78");
    check("pmin=10", &[79, 78, 77], 100, "10:77");
    check("pmin=10", &[79, 80], 100, "10:80");
    check("pmax=30", &[], 100, "30:80 60:80 90:80");
    check("pmax=30", &[79], 40, "0:79 30:79");
    check("pmin=40&pmax=30", &[], 100, "");
    check("gt=90", &[85, 90, 91, 95, 90], 20, "2:91 4:90");
    check("lt=20", &[60, 20, 19, 10, 20], 20, "2:19 4:20");
    check("st=5", &[79, 76, 75, 79, 80], 20, "2:75 4:80");
    check("gt=90&st=8&pmin=3", &[72, 80, 91], 20, "3:91");
}

/// The periods of the Server object hold where nothing else is attached (E.2).
#[test]
fn default_periods_come_from_the_server_object() {
    let mut pair = registered();
    for (at, value) in [("/1/0/2", "4"), ("/1/0/3", "20")] {
        let request = Request::put(at).content_format(0).payload(value);
        assert_eq!(ask(&mut pair, at, request), "2.04");
    }
    observe(&mut pair, BATTERY);
    assert_eq!(arrivals(&mut pair, &[79, 78], 30), "4:78 24:78");
    // Attributes written later hold for the observation that runs, too.
    attributes(&mut pair, BATTERY, "pmin=1&pmax=1000");
    assert_eq!(arrivals(&mut pair, &[70, 69, 68], 30), "0:70 1:69 2:68");
}

#[test]
fn instances_and_objects_are_observed() {
    let mut pair = registered();
    for at in ["/3", "/3/0", "/3/0/6"] {
        observe(&mut pair, at);
    }
    pair.client.set(path("/3/0/6/5"), Value::Integer(2), pair.now).unwrap();
    pair.run(2);
    assert_eq!(pair.notifications.len(), 3);
    pair.notifications.clear();
    set_battery(&mut pair, 1);
    pair.run(2);
    assert_eq!(pair.notifications.len(), 2);
    pair.notifications.clear();
    pair.client.change_objects(pair.now, |objects| {
        objects.set(path("/3/0/0"), Value::String("B".to_owned())).unwrap();
        objects.set(path("/3303/0/5700"), Value::Float(1.0)).unwrap();
    });
    pair.run(2);
    assert_eq!(pair.notifications.len(), 2);
    // A write by the server itself is a change as any other.
    pair.notifications.clear();
    let request = Request::put("/3/0/14").content_format(0).payload("Z");
    assert_eq!(ask(&mut pair, "/", request), "2.04");
    pair.run(2);
    assert_eq!(pair.notifications.len(), 2);
}

/// RFC 7641, 3.6: Observe 1 with the token of the observation, or a reset.
#[test]
fn observations_are_cancelled_both_ways() {
    let mut pair = registered();
    let id = observe(&mut pair, BATTERY);
    pair.server.deregister(id, pair.now).unwrap();
    pair.run(1);
    let ended = Event::ObservationEnded { path: path(BATTERY) };
    assert_eq!(pair.take_events(), std::slice::from_ref(&ended));
    assert_eq!(arrivals(&mut pair, &[70], 5), "");

    let id = observe(&mut pair, BATTERY);
    pair.server.cancel(id, pair.now);
    set_battery(&mut pair, 60);
    pair.run(2);
    assert_eq!(pair.take_events(), [Event::Notified { path: path(BATTERY) }, ended.clone()]);
    assert_eq!(arrivals(&mut pair, &[50], 5), "");

    // A server that has lost the token cancels by path.
    observe(&mut pair, BATTERY);
    let answer = ask(&mut pair, BATTERY, Request::get(BATTERY).observe(1));
    assert_eq!(answer, "2.05 text 50");
    assert_eq!(pair.take_events(), [ended]);
}

#[test]
fn observations_end_with_the_registration() {
    let mut pair = registered();
    let ended = Event::ObservationEnded { path: path(BATTERY) };
    observe(&mut pair, BATTERY);
    pair.script.update = coap::Code::NOT_FOUND;
    pair.client.update_registration(pair.now);
    pair.run(1);
    assert!(pair.take_events().contains(&ended));
    observe(&mut pair, BATTERY);
    pair.client.stop(pair.now);
    pair.run(1);
    assert!(pair.take_events().contains(&ended));
}

/// RFC 7641, 4.5: a server that acknowledges nothing loses its observations.
#[test]
fn observations_end_with_the_server() {
    let mut pair = registered();
    observe(&mut pair, BATTERY);
    pair.script.silent = true;
    set_battery(&mut pair, 3);
    pair.run(100);
    assert!(pair.take_events().contains(&Event::ObservationEnded { path: path(BATTERY) }));
}

/// RFC 7641, 4.2: what is gone is reported as an error.
#[test]
fn observations_end_with_the_resource() {
    let mut pair = registered();
    observe(&mut pair, "/3303/0/5700");
    pair.client.change_objects(pair.now, |objects| {
        objects.remove(path("/3303"));
    });
    pair.run(1);
    assert_eq!(pair.notifications[0].2.code, coap::Code::NOT_FOUND);
    assert!(pair.take_events().contains(&Event::ObservationEnded { path: path("/3303/0/5700") }));
}

#[test]
fn observations_are_bounded() {
    let config = ClientConfig { observations_max: 2, ..config() };
    let mut pair = Pair::new(client(config, objects()));
    pair.start();
    observe(&mut pair, "/3/0/9");
    observe(&mut pair, "/3/0/0");
    let (_, third) = pair.observe(Request::get("/3/0/6").observe(0));
    assert_eq!(third.code, coap::Code::CONTENT);
    assert_eq!(third.options.observe(), None);
}

#[test]
fn the_last_value_arrives_over_lossy_networks() {
    for (loss_percent, duplicate_percent) in [(40, 0), (30, 50), (0, 100), (20, 30)] {
        let mut pair = registered();
        observe(&mut pair, BATTERY);
        (pair.loss_percent, pair.duplicate_percent) = (loss_percent, duplicate_percent);
        let levels: Vec<i64> = (0..20).collect();
        let arrived = arrivals(&mut pair, &levels, 200);
        assert!(arrived.ends_with(":19"), "{loss_percent} {duplicate_percent}: {arrived}");
    }
}

/// Notifications in the format that was asked for, not confirmable when set so.
#[test]
fn notifications_keep_the_format() {
    let config = ClientConfig { confirmable_notifications: false, ..config() };
    let mut pair = Pair::new(client(config, objects()));
    pair.start();
    let request = Request::get(BATTERY).observe(0).accept(ContentFormat::SENML_JSON.0);
    pair.observe(request);
    set_battery(&mut pair, 5);
    let sent = pair.client.poll_transmit().unwrap();
    assert_eq!(sent.datagram[0] & 0x30, 0x10, "not confirmable");
    pair.server.handle_datagram(pair::DEVICE, &sent.datagram, pair.now);
    pair.run(1);
    let (_, _, response) = &pair.notifications[0];
    assert_eq!(show(BATTERY, response), "2.05 SenML-JSON /3/0/9=5");
}
