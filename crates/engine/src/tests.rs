//! The engine against a scripted device: a bare CoAP endpoint on the other side of a wire.

use std::net::SocketAddr;
use std::time::Duration;

use coap::{Code, Endpoint, Event as CoapEvent, Request, Response};
use model::{Record, Sha256, Snapshot, Time};

use crate::{AskError, Config, Engine, Event};

mod compared;
mod release;
mod updates;
mod waits;

/// Engine and device in one thread; what one sends the other receives at once.
struct Pair {
    engine: Engine,
    device: Endpoint,
    now: Time,
    /// Requests the device got, as `METHOD path`.
    seen: Vec<String>,
    records: Vec<Record>,
    events: Vec<Event>,
    version: &'static str,
    /// State and result of its update object.
    update: (i64, i64),
    /// What its sensor shows; it has none without.
    sensor: Option<&'static str>,
    /// Requests to this path are heard and not answered.
    deaf_to: Option<&'static str>,
    /// The package URI it was given last.
    uri: String,
    /// Where the device sends from.
    from: &'static str,
    /// Whether batches are acknowledged as durable.
    commits: bool,
    /// The device refuses to read more than one resource at once.
    single_resources: bool,
    /// The device answers in a format it does not name.
    garbles: bool,
}

const SERVER: &str = "127.0.0.1:5683";
const DEVICE: &str = "127.0.0.1:40000";

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

impl Pair {
    fn new(snapshot: Snapshot) -> Self {
        let now = Time::from_secs(1_000_000);
        Self {
            engine: Engine::new(Config::default(), snapshot, 7, now),
            device: Endpoint::new(coap::Config::default(), 8),
            now,
            seen: Vec::new(),
            records: Vec::new(),
            events: Vec::new(),
            version: "1.0.0",
            update: (0, 0),
            sensor: None,
            deaf_to: None,
            uri: String::new(),
            from: DEVICE,
            commits: true,
            single_resources: false,
            garbles: false,
        }
    }

    /// Lets both talk until nobody has anything to say; returns the device's responses received.
    fn settle(&mut self) -> Vec<Response> {
        let mut responses = Vec::new();
        loop {
            let mut moved = false;
            while let Some(transmit) = self.engine.poll_transmit() {
                let origin = self.now.since_origin();
                self.device.handle_datagram(address(SERVER), &transmit.datagram, origin);
                moved = true;
            }
            while let Some(event) = self.device.poll_event() {
                match event {
                    CoapEvent::Request { request, .. }
                        if self.deaf_to == Some(request.path_string().as_str()) => {}
                    CoapEvent::Request { exchange, request, .. } => {
                        let response = self.answer(&request);
                        self.device.respond(exchange, response, self.now.since_origin());
                    }
                    CoapEvent::Response { response, .. } => responses.push(response),
                    _ => {}
                }
                moved = true;
            }
            while let Some(transmit) = self.device.poll_transmit() {
                self.engine.handle_datagram(address(self.from), &transmit.datagram, self.now);
                moved = true;
            }
            if let Some(batch) = self.engine.poll_batch() {
                self.records.extend(batch.records);
                if self.commits {
                    self.engine.handle_committed(batch.id, self.now);
                }
                moved = true;
            }
            while let Some(event) = self.engine.poll_event() {
                self.events.push(event);
            }
            if !moved {
                return responses;
            }
        }
    }

    fn send(&mut self, request: Request) -> Vec<Response> {
        self.device.request(address(SERVER), request, self.now.since_origin()).unwrap();
        self.settle()
    }

    fn answer(&mut self, request: &Request) -> Response {
        let path = request.path_string();
        self.seen.push(format!("{} {path}", request.method.name().unwrap_or("?")));
        let text =
            |text: &str| Response::new(Code::CONTENT).content_format(0).payload(text.to_owned());
        match (request.method, path.as_str()) {
            (Code::GET, "/3/0" | "/5/0") if self.single_resources => Response::new(Code::NOT_FOUND),
            (Code::GET, "/3/0") if self.garbles => {
                Response::new(Code::CONTENT).content_format(65_000).payload("?")
            }
            (Code::GET, "/3/0/0") => text("ACME"),
            (Code::GET, "/3/0/1") => text("WS-200"),
            (Code::GET, "/3/0") => {
                let json = format!(
                    r#"[{{"bn":"/3/0/","n":"0","vs":"ACME"}},{{"n":"1","vs":"WS-200"}},{{"n":"3","vs":"{}"}},{{"n":"9","v":80}}]"#,
                    self.version
                );
                Response::new(Code::CONTENT).content_format(110).payload(json)
            }
            (Code::GET, "/3/0/3") => text(self.version),
            (Code::GET, "/5/0") => {
                let (state, result) = self.update;
                let json = format!(
                    r#"[{{"bn":"/5/0/","n":"3","v":{state}}},{{"n":"5","v":{result}}},{{"n":"9","v":2}}]"#
                );
                Response::new(Code::CONTENT).content_format(110).payload(json)
            }
            (Code::GET, "/3/0/9") if request.options.observe().is_some() => text("80").observe(1),
            (Code::GET, "/3/0/9") => text("80"),
            (Code::GET, "/3303/0/5700") if self.sensor.is_some() => {
                text(self.sensor.unwrap_or_default())
            }
            (Code::PUT, "/5/0/1") => {
                self.uri = String::from_utf8_lossy(&request.payload).into_owned();
                self.update = (i64::from(!self.uri.is_empty()), 0);
                Response::new(Code::CHANGED)
            }
            (Code::POST, "/5/0/2") => {
                self.update.0 = 3;
                Response::new(Code::CHANGED)
            }
            (Code::PUT, _) => Response::new(Code::CHANGED),
            _ => Response::new(Code::NOT_FOUND),
        }
    }

    fn advance(&mut self, by: Duration) {
        self.now = self.now + by;
        self.device.handle_timeout(self.now.since_origin());
        self.engine.handle_timeout(self.now);
        self.settle();
    }

    fn register(&mut self) -> Vec<Response> {
        self.register_as("b=U")
    }

    fn register_as(&mut self, mode: &str) -> Vec<Response> {
        let lifetime = if mode == "Q" { "lt=86400" } else { "lt=60" };
        let request = Request::post("/rd")
            .query("ep=urn:dev:1")
            .query(lifetime)
            .query("lwm2m=1.1")
            .query(mode)
            .content_format(40)
            .payload("</1/0>,</3/0>,</5/0>");
        self.send(request)
    }

    fn device(&self) -> &model::Device {
        self.engine.fleet().device(model::DeviceId(1)).unwrap()
    }
}

#[test]
fn a_registration_makes_a_device_that_is_asked_who_it_is() {
    let mut pair = Pair::new(Snapshot::default());
    let responses = pair.register();
    assert_eq!(responses[0].code, Code::CREATED);
    assert_eq!(responses[0].location_path().next(), Some("rd"));
    let device = pair.device();
    assert_eq!(device.model.as_deref(), Some("WS-200"));
    assert_eq!(device.version.as_ref().unwrap().as_str(), "1.0.0");
    assert_eq!(device.datamodel.battery_percent.unwrap().value, 80);
    assert!(pair.seen.contains(&"GET /3/0".to_owned()));
    assert!(pair.records.iter().any(|record| matches!(record, Record::Registration(_))));
}

/// A device that was not told yet that it is registered resets requests or drops them.
#[test]
fn a_registration_is_answered_before_anything_is_asked() {
    let mut pair = Pair::new(Snapshot::default());
    let register = Request::post("/rd").query("ep=x").query("lwm2m=1.0").payload("</3/0>");
    pair.device.request(address(SERVER), register, pair.now.since_origin()).unwrap();
    let register = pair.device.poll_transmit().unwrap();
    pair.engine.handle_datagram(address(DEVICE), &register.datagram, pair.now);
    let codes: Vec<u8> =
        std::iter::from_fn(|| pair.engine.poll_transmit()).map(|t| t.datagram[1]).collect();
    // 2.01, then GET; one request at a time.
    assert_eq!(codes, [0x41, 0x01]);
}

#[test]
fn a_device_that_knows_single_resources_only_is_asked_for_those() {
    let mut pair = Pair::new(Snapshot::default());
    pair.single_resources = true;
    pair.register();
    assert!(pair.device().is_identified());
    let hardware = pair.seen.iter().filter(|seen| *seen == "GET /3/0/18").count();
    assert_eq!(hardware, 1, "what is refused is not asked again: {:?}", pair.seen);
}

#[test]
fn a_device_that_does_not_say_who_it_is_is_asked_again_less_and_less_often() {
    let mut pair = Pair::new(Snapshot::default());
    pair.garbles = true;
    pair.register();
    let mut asked = vec![];
    for second in 1..20 {
        pair.seen.clear();
        pair.advance(Duration::from_secs(1));
        if pair.seen.contains(&"GET /3/0".to_owned()) {
            asked.push(second);
        }
    }
    assert_eq!(asked, [2, 6, 14]);
    pair.garbles = false;
    pair.advance(Duration::from_secs(11));
    assert!(pair.device().is_identified());
}

/// I11: a Location that is not known is answered 4.04, so that the device registers anew.
#[test]
fn an_update_of_an_unknown_registration_is_not_found() {
    let mut pair = Pair::new(Snapshot::default());
    for location in ["/rd/0-1", "/rd/nonsense", "/rd/7-99999"] {
        assert_eq!(pair.send(Request::post(location))[0].code, Code::NOT_FOUND, "{location}");
    }
}

#[test]
fn malformed_registrations_are_refused_and_make_no_device() {
    let mut pair = Pair::new(Snapshot::default());
    let without_name = Request::post("/rd").query("lt=60").content_format(40).payload("</3/0>");
    let bad_lifetime = Request::post("/rd").query("ep=x").query("lt=soon").payload("</3/0>");
    for request in [without_name, bad_lifetime] {
        assert_eq!(pair.send(request)[0].code, Code::BAD_REQUEST);
    }
    assert!(pair.engine.fleet().is_empty());
    assert_eq!(pair.engine.statistics().registrations_refused, 2);
}

#[test]
fn a_registration_survives_a_restart_without_the_device_noticing() {
    let mut pair = Pair::new(Snapshot::default());
    let location = pair.register()[0].location_path().collect::<Vec<_>>().join("/");
    pair.engine.flush(pair.now);
    pair.settle();
    let mut snapshot = Snapshot::default();
    for record in &pair.records {
        match record {
            Record::Device(device) => snapshot.devices = vec![*device.clone()],
            Record::Registration(registration) => {
                snapshot.registrations = vec![registration.clone()];
            }
            _ => {}
        }
    }
    let mut after = Pair::new(snapshot);
    let responses = after.send(Request::post(&format!("/{location}")));
    assert_eq!(responses[0].code, Code::CHANGED);
    assert_eq!(after.device().version.as_ref().unwrap().as_str(), "1.0.0");
}

/// A Register of a device that could have renewed its registration (LwM2M 1.1 core, 6.2.2) is a
/// restart; one that was ordered, or that the device has made a habit of, says nothing.
#[test]
fn restarts_that_nobody_ordered_are_told_once() {
    let mut pair = Pair::new(Snapshot::default());
    let restarts = |pair: &Pair| pair.engine.statistics().restarts;
    pair.register();
    assert_eq!(restarts(&pair), 0, "it was not there before");
    let reboot = lwm2m::Path::resource(3, 0, 4);
    pair.engine
        .order(model::DeviceId(1), fleet::Ask::Execute(reboot, String::new()), pair.now)
        .unwrap();
    pair.settle();
    pair.register();
    assert_eq!(restarts(&pair), 0, "an operator ordered it");
    pair.register();
    assert_eq!(restarts(&pair), 1);
    pair.register();
    assert_eq!(restarts(&pair), 1, "it does so all the time");

    let snapshot = pair.snapshot();
    let mut after = Pair::new(snapshot);
    after.register();
    assert_eq!(restarts(&after), 0, "it may have lost its registration while nobody answered");
    after.register();
    assert_eq!(restarts(&after), 1);
}

#[test]
fn an_image_is_served_block_by_block() {
    let mut pair = Pair::new(Snapshot::default());
    let image: Vec<u8> = (0..10_000u32).map(|n| n.to_le_bytes()[0]).collect();
    let sha256 = Sha256([9; 32]);
    pair.engine.add_image(sha256, image.clone().into());
    let responses = pair.send(Request::get(&fleet::firmware_path(&sha256)));
    assert_eq!(responses[0].payload, image);
    assert_eq!(pair.engine.statistics().image_blocks, 10);
    assert_eq!(pair.send(Request::get("/fw/0000000000000000"))[0].code, Code::NOT_FOUND);
}

#[test]
fn orders_reach_a_device_that_is_there() {
    let mut pair = Pair::new(Snapshot::default());
    let path = lwm2m::Path::resource(3, 0, 3);
    let device = model::DeviceId(1);
    let missing = pair.engine.order(device, fleet::Ask::Read(path), pair.now);
    assert_eq!(missing, Err(AskError::UnknownDevice(device)));
    pair.register();
    let token = pair.engine.order(device, fleet::Ask::Read(path), pair.now).unwrap();
    pair.settle();
    let answered = pair.events.iter().find_map(|event| match event {
        Event::Answered { token: of, answer } if *of == token => Some(answer.clone()),
        _ => None,
    });
    let Some(fleet::Answer::Values(leaves)) = answered else { panic!("{answered:?}") };
    assert_eq!(leaves[0].value.as_text(), Some("1.0.0"));
}

#[test]
fn a_device_that_stops_answering_is_offline_until_heard() {
    let mut pair = Pair::new(Snapshot::default());
    pair.register();
    let path = lwm2m::Path::resource(3, 0, 3);
    pair.engine.order(model::DeviceId(1), fleet::Ask::Read(path), pair.now).unwrap();
    // Nothing reaches the device any more, until every repetition is over.
    for _ in 0..400 {
        pair.now = pair.now + Duration::from_millis(500);
        while pair.engine.poll_transmit().is_some() {}
        // Keep the registration alive on the server's side of time.
        if pair.device().presence == model::Presence::Offline {
            break;
        }
        pair.engine.handle_timeout(pair.now);
    }
    assert_eq!(pair.device().presence, model::Presence::Offline);
    assert_eq!(pair.register()[0].code, Code::CREATED);
    assert_eq!(pair.device().presence, model::Presence::Online);
    assert_eq!(pair.device().registrations, 2, "it keeps its number");
}

/// I2: what changes a device leaves only after its intent is durable.
#[test]
fn nothing_that_changes_a_device_leaves_before_its_intent_is_durable() {
    let mut pair = Pair::new(Snapshot::default());
    pair.register();
    pair.commits = false;
    let policy = Some(model::Policy::threshold());
    pair.engine.publish(release::firmware(""), "test", policy, None, 1, pair.now).unwrap();
    pair.seen.clear();
    let mut committed = 0;
    for _ in 0..20 {
        pair.settle();
        let intended = pair.records.iter().any(|record| matches!(record, Record::Intent(_)));
        let changed = pair.seen.iter().any(|request| request.starts_with("PUT"));
        assert!(!changed || intended, "{:?}", pair.seen);
        if changed {
            return;
        }
        committed += 1;
        pair.engine.handle_committed(committed, pair.now);
        if let Some(batch) = pair.engine.poll_batch() {
            pair.records.extend(batch.records);
        }
    }
    panic!("the device was never told: {:?}", pair.seen);
}

impl Pair {
    /// What would be restored after a crash now.
    fn snapshot(&mut self) -> Snapshot {
        self.engine.flush(self.now);
        self.settle();
        let mut snapshot = Snapshot::default();
        for record in &self.records {
            match record {
                Record::Device(device) => snapshot.devices = vec![*device.clone()],
                Record::Registration(registration) => {
                    snapshot.registrations = vec![registration.clone()];
                }
                _ => {}
            }
        }
        snapshot
    }

    fn observations(&self) -> usize {
        self.seen.iter().filter(|seen| *seen == "GET /3/0/9").count()
    }
}

/// One lost request does not make a device offline that was heard since.
#[test]
fn a_device_that_was_just_heard_stays_online() {
    let mut pair = Pair::new(Snapshot::default());
    let location = pair.register()[0].location_path().collect::<Vec<_>>().join("/");
    let path = lwm2m::Path::resource(3, 0, 3);
    pair.engine.order(model::DeviceId(1), fleet::Ask::Read(path), pair.now).unwrap();
    let answered = |pair: &Pair| pair.events.iter().any(|e| matches!(e, Event::Answered { .. }));
    // Requests are lost on their way to the device; its updates arrive.
    for second in 1..120 {
        pair.now = pair.now + Duration::from_secs(1);
        while pair.engine.poll_transmit().is_some() {}
        pair.engine.handle_timeout(pair.now);
        if second % 10 == 0 {
            let update = Request::post(&format!("/{location}"));
            pair.device.request(address(SERVER), update, pair.now.since_origin()).unwrap();
            while let Some(transmit) = pair.device.poll_transmit() {
                pair.engine.handle_datagram(address(DEVICE), &transmit.datagram, pair.now);
            }
            while let Some(transmit) = pair.engine.poll_transmit() {
                let acknowledges = transmit.datagram[0] & 0x30 == 0x20;
                if acknowledges {
                    let origin = pair.now.since_origin();
                    pair.device.handle_datagram(address(SERVER), &transmit.datagram, origin);
                }
            }
        }
        while let Some(event) = pair.engine.poll_event() {
            pair.events.push(event);
        }
        assert_eq!(pair.device().presence, model::Presence::Online, "after {second} s");
    }
    assert!(answered(&pair), "the order has ended in vain");
}

/// After a restart nothing is observed any more; the first sign of life renews it.
#[test]
fn observations_are_renewed_after_a_restart_without_a_registration() {
    let mut before = Pair::new(Snapshot::default());
    let location = before.register()[0].location_path().collect::<Vec<_>>().join("/");
    assert_eq!(before.observations(), 1);
    let mut after = Pair::new(before.snapshot());
    after.settle();
    after.seen.clear();
    for expected in [1, 1] {
        after.send(Request::post(&format!("/{location}")));
        assert_eq!(after.observations(), expected, "{:?}", after.seen);
    }
}

/// A device behind a new address is asked there, and what was open at the old one ends.
#[test]
fn a_device_that_moved_is_reached_where_it_is() {
    let mut pair = Pair::new(Snapshot::default());
    let location = pair.register()[0].location_path().collect::<Vec<_>>().join("/");
    let path = lwm2m::Path::resource(3, 0, 3);
    pair.engine.order(model::DeviceId(1), fleet::Ask::Read(path), pair.now).unwrap();
    while pair.engine.poll_transmit().is_some() {}
    pair.seen.clear();
    pair.from = "127.0.0.1:40001";
    pair.send(Request::post(&format!("/{location}")));
    let ended = pair.events.iter().any(|event| matches!(event, Event::Answered { .. }));
    assert!(ended, "{:?}", pair.events);
    assert_eq!(pair.observations(), 1, "observed anew: {:?}", pair.seen);
    for _ in 0..3 {
        pair.advance(Duration::from_secs(40));
        assert_eq!(pair.device().presence, model::Presence::Online);
        pair.send(Request::post(&format!("/{location}")));
    }
}

/// I19: who reaches the port cannot fill the memory with devices.
#[test]
fn no_more_devices_are_known_than_allowed() {
    let mut pair = Pair::new(Snapshot::default());
    pair.engine.config.devices_max = 2;
    for (name, expected) in [
        ("a", Code::CREATED),
        ("b", Code::CREATED),
        ("c", Code::SERVICE_UNAVAILABLE),
        ("a", Code::CREATED),
    ] {
        let register = Request::post("/rd").query(&format!("ep={name}")).query("lwm2m=1.1");
        let responses = pair.send(register.payload("</3/0>"));
        assert_eq!(responses[0].code, expected, "{name}");
    }
    assert_eq!(pair.engine.fleet().len(), 2);
}

/// LwM2M 1.1 core, 6.5: a queue-mode device is asked when it listens, not while it sleeps.
#[test]
fn a_read_of_a_sleeping_device_waits_until_it_wakes() {
    let mut pair = Pair::new(Snapshot::default());
    let request = Request::post("/rd")
        .query("ep=urn:dev:1")
        .query("lt=300")
        .query("lwm2m=1.1")
        .query("b=U")
        .query("Q")
        .content_format(40)
        .payload("</1/0>,</3/0>,</5/0>");
    pair.device.request(address(SERVER), request, pair.now.since_origin()).unwrap();
    // The device falls asleep before it hears the reads that follow its registration.
    while let Some(transmit) = pair.device.poll_transmit() {
        pair.engine.handle_datagram(address(DEVICE), &transmit.datagram, pair.now);
    }
    let registered = pair.engine.poll_transmit().unwrap();
    pair.device.handle_datagram(address(SERVER), &registered.datagram, pair.now.since_origin());
    let Some(CoapEvent::Response { response, .. }) = pair.device.poll_event() else { panic!() };
    let location = response.location_path().collect::<Vec<_>>().join("/");
    for _ in 0..200 {
        pair.now = pair.now + Duration::from_secs(1);
        pair.engine.handle_timeout(pair.now);
        while pair.engine.poll_transmit().is_some() {}
    }
    assert_eq!(pair.device().presence, model::Presence::Asleep);
    assert!(!pair.device().is_identified());
    pair.send(Request::post(&format!("/{location}")));
    assert_eq!(pair.device().presence, model::Presence::Online);
    assert!(pair.device().is_identified(), "it was asked as soon as it was heard");
}

/// I19: a full directory keeps strangers out, not the fleet.
#[test]
fn a_known_device_is_not_kept_out_by_strangers() {
    let mut pair = Pair::new(Snapshot::default());
    pair.engine.config.registry.registrations_max = 3;
    pair.engine.registry = lwm2m::Registry::new(pair.engine.config.registry, 1);
    let location = pair.register()[0].location_path().collect::<Vec<_>>().join("/");
    pair.send(Request::delete(&format!("/{location}")));
    let stranger = |name: &str| {
        Request::post("/rd").query(&format!("ep={name}")).content_format(40).payload("</99/0>")
    };
    for name in ["a", "b", "c"] {
        assert_eq!(pair.send(stranger(name))[0].code, Code::CREATED);
    }
    assert_eq!(pair.send(stranger("d"))[0].code, Code::SERVICE_UNAVAILABLE);
    assert_eq!(pair.register()[0].code, Code::CREATED, "the fleet goes first");
    assert_eq!(pair.engine.statistics().strangers_ended, 1);
}
