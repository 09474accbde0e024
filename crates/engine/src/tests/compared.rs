//! Devices that are compared, over the protocol: a small site of bare CoAP endpoints.

use std::collections::BTreeMap;

use model::{Evidence, HealthEventKind, Latency, Look, Policy, Rate, Rule, Span, Undo};

use super::*;

/// A device at an address of its own.
struct Thing {
    endpoint: Endpoint,
    number: usize,
    version: &'static str,
    update: (i64, i64),
    location: Option<String>,
    registers_at: Option<Time>,
    /// Whether it calls by itself.
    calls: bool,
    /// Whether it hears anything.
    hears: bool,
    /// What it calls itself.
    make: &'static str,
    seen: Vec<String>,
}

struct Site {
    engine: Engine,
    things: Vec<Thing>,
    now: Time,
    records: Vec<Record>,
}

fn address_of(number: usize) -> SocketAddr {
    address(&format!("127.0.0.1:{}", 40_000 + number))
}

fn config() -> Config {
    let mut config = Config::default();
    config.operations.probe_s = 20;
    config.coap.ack_timeout = Duration::from_millis(500);
    config
}

impl Site {
    fn new(things: usize) -> Self {
        let now = Time::from_secs(1_000_000);
        let thing = |number| Thing {
            endpoint: Endpoint::new(coap::Config::default(), number as u64 + 8),
            number,
            version: "1.0.0",
            update: (0, 0),
            location: None,
            registers_at: Some(now),
            calls: true,
            hears: true,
            make: "ACME",
            seen: Vec::new(),
        };
        let engine = Engine::new(config(), Snapshot::default(), 7, now);
        Self { engine, things: (0..things).map(thing).collect(), now, records: Vec::new() }
    }

    /// The server stops, and starts from what is durable.
    fn restart(&mut self) {
        let snapshot = snapshot(&self.records);
        self.engine = Engine::new(config(), snapshot, 9, self.now);
        self.engine.add_image(Sha256([9; 32]), vec![7; 300].into());
        self.settle();
    }

    fn start(&mut self, rule: Evidence) {
        let manifest = r#"
            manifest = 1
            release = { name = "fw", version = "2.0.0", class = "minor" }
            target = [{ manufacturer = "ACME", model = "WS-200" }]
            [[artifact]]
            size = 300
            sha256 = "0909090909090909090909090909090909090909090909090909090909090909"
            file = "image.bin"
            [[guard]]
            name = "heat"
            path = "/3303/0/5700"
            expect = { max_percent_of_baseline = 300 }
        "#;
        let manifest = model::Manifest::from_toml(manifest).unwrap();
        self.engine.add_image(Sha256([9; 32]), vec![7; 300].into());
        let policy = Policy { rule: Rule::Evidence(rule), ..Policy::default() };
        self.engine.publish(manifest, "test", Some(policy), None, 1, self.now).unwrap();
        self.settle();
    }

    fn settle(&mut self) {
        loop {
            let mut moved = false;
            while let Some(transmit) = self.engine.poll_transmit() {
                moved = true;
                let at = usize::from(transmit.peer.port()) - 40_000;
                let thing = &mut self.things[at];
                if thing.hears {
                    let origin = self.now.since_origin();
                    thing.endpoint.handle_datagram(address(SERVER), &transmit.datagram, origin);
                }
            }
            for thing in &mut self.things {
                thing.work(self.now);
                while let Some(transmit) = thing.endpoint.poll_transmit() {
                    moved = true;
                    let from = address_of(thing.number);
                    self.engine.handle_datagram(from, &transmit.datagram, self.now);
                }
            }
            if let Some(batch) = self.engine.poll_batch() {
                self.records.extend(batch.records);
                self.engine.handle_committed(batch.id, self.now);
                moved = true;
            }
            while self.engine.poll_event().is_some() {}
            if !moved {
                return;
            }
        }
    }

    /// Seconds pass, one by one.
    fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now = self.now + Duration::from_secs(1);
            let second = self.now.as_micros() / 1_000_000;
            for thing in &mut self.things {
                thing.endpoint.handle_timeout(self.now.since_origin());
                thing.call(second, self.now);
            }
            self.engine.handle_timeout(self.now);
            self.settle();
        }
    }

    fn looks(&self) -> Vec<Look> {
        let looks = self.records.iter().filter_map(|record| match record {
            Record::Look(look) => Some((**look).clone()),
            _ => None,
        });
        looks.collect()
    }

    /// Events of a kind in all looks.
    fn events(&self, kind: HealthEventKind) -> u64 {
        let looks = self.looks();
        let events = looks.iter().flat_map(|look| &look.strata).flat_map(|one| &one.events);
        events.filter(|one| one.kind == kind).map(|one| one.devices).sum()
    }
}

impl Thing {
    /// Registers, and renews its registration every ten seconds.
    fn call(&mut self, second: u64, now: Time) {
        if !self.calls {
            return;
        }
        if self.registers_at.is_some_and(|at| at <= now) {
            self.registers_at = None;
            let name = format!("ep=urn:dev:{}", self.number);
            let request = Request::post("/rd").query(&name).query("lt=20").query("lwm2m=1.1");
            let request =
                request.query("b=U").content_format(40).payload("</3/0>,</5/0>,</3303/0>");
            self.endpoint.request(address(SERVER), request, now.since_origin()).unwrap();
        } else if let Some(location) = &self.location
            && (second + self.number as u64).is_multiple_of(10)
        {
            let request = Request::post(location);
            self.endpoint.request(address(SERVER), request, now.since_origin()).unwrap();
        }
    }

    fn work(&mut self, now: Time) {
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                CoapEvent::Request { exchange, request, .. } => {
                    let response = self.answer(&request, now);
                    self.endpoint.respond(exchange, response, now.since_origin());
                }
                CoapEvent::Response { response, .. } if response.code == Code::CREATED => {
                    let parts: Vec<&str> = response.location_path().collect();
                    self.location = Some(format!("/{}", parts.join("/")));
                }
                _ => {}
            }
        }
    }

    fn answer(&mut self, request: &Request, now: Time) -> Response {
        let path = request.path_string();
        self.seen.push(format!("{} {path}", request.method.name().unwrap_or("?")));
        let json = |json: String| Response::new(Code::CONTENT).content_format(110).payload(json);
        match (request.method, path.as_str()) {
            (Code::GET, "/3/0") => json(format!(
                r#"[{{"bn":"/3/0/","n":"0","vs":"{}"}},{{"n":"1","vs":"WS-200"}},{{"n":"3","vs":"{}"}}]"#,
                self.make, self.version
            )),
            (Code::GET, "/3/0/3") => {
                Response::new(Code::CONTENT).content_format(0).payload(self.version)
            }
            (Code::GET, "/5/0") => json(format!(
                r#"[{{"bn":"/5/0/","n":"3","v":{}}},{{"n":"5","v":{}}},{{"n":"9","v":2}}]"#,
                self.update.0, self.update.1
            )),
            (Code::GET, "/3303/0/5700") => {
                let heat = if self.version == "1.0.0" { "200" } else { "300" };
                Response::new(Code::CONTENT).content_format(0).payload(heat)
            }
            (Code::PUT, "/5/0/1") => {
                self.update = (2, 0);
                Response::new(Code::CHANGED)
            }
            (Code::POST, "/5/0/2") => {
                (self.version, self.update) = ("2.0.0", (0, 1));
                self.registers_at = Some(now + Duration::from_secs(3));
                Response::new(Code::CHANGED)
            }
            _ => Response::new(Code::NOT_FOUND),
        }
    }
}

/// What is stored after these records.
fn snapshot(records: &[Record]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    let (mut devices, mut registrations) = (BTreeMap::new(), BTreeMap::new());
    let (mut operations, mut assignments) = (BTreeMap::new(), BTreeMap::new());
    for record in records.iter().cloned() {
        match record {
            Record::Device(device) => drop(devices.insert(device.id, *device)),
            Record::Registration(one) => drop(registrations.insert(one.device, one)),
            Record::Deregistration { device } => drop(registrations.remove(&device)),
            Record::Release(release) => snapshot.releases.push(release),
            Record::Operation(one) => drop(operations.insert(one.id, *one)),
            Record::Assignment(one) => drop(assignments.insert((one.operation, one.device), *one)),
            Record::Intent(intent) => snapshot.intents.push(intent),
            Record::Look(look) => snapshot.looks.push(*look),
            Record::Signal(signal) => snapshot.signals.push(*signal),
            _ => {}
        }
    }
    snapshot.devices = devices.into_values().collect();
    snapshot.registrations = registrations.into_values().collect();
    snapshot.operations = operations.into_values().collect();
    snapshot.assignments = assignments.into_values().collect();
    snapshot
}

fn quick() -> Evidence {
    let mean = Latency { mean: Span::secs(10), share: Rate::percent(100) };
    Evidence {
        look: Span::secs(5),
        silence_min: Span::secs(10),
        watch: Span::secs(600),
        ages: vec![Span::secs(60)],
        latencies: vec![mean],
        budget: Some(10),
        undo: Undo::Off,
        ..Evidence::default()
    }
}

/// A release whose devices get warmer by half, which its guard allows: control devices are read
/// for it, they stay as they were, and the difference is evidence.
#[test]
fn control_devices_are_read_when_updated_ones_are() {
    let mut site = Site::new(60);
    site.pass(20);
    site.start(quick());
    site.pass(120);
    let looks = site.looks();
    let strata = looks.iter().flat_map(|look| &look.strata);
    let indicators: Vec<_> = strata.flat_map(|stratum| &stratum.indicators).collect();
    let all = |of: fn(&model::IndicatorLook) -> &Vec<i64>| -> Vec<i64> {
        indicators.iter().flat_map(|one| of(one)).copied().collect()
    };
    let (updated, control) = (all(|one| &one.updated), all(|one| &one.control));
    assert!(updated.len() >= 5 && updated.iter().all(|change| *change == 500_000), "{updated:?}");
    assert!(control.len() >= 3 && control.iter().all(|change| *change == 0), "{control:?}");
    let reads = |thing: &&Thing| thing.seen.iter().any(|seen| seen == "GET /3303/0/5700");
    let read = site.things.iter().filter(|thing| thing.version == "1.0.0").filter(reads).count();
    assert!(read <= updated.len(), "{read} for {}", updated.len());
    let operation = site.engine.loops().operations().next().unwrap();
    let course = operation.course.clone().unwrap().evidence.unwrap();
    let shown = &course.judged.strata[0].indicators[0];
    assert_eq!(shown.name, "heat");
    assert!(shown.pairs >= 3 && (0.4..0.6).contains(&shown.difference.value()), "{shown:?}");
}

/// I15: the engine is dropped between a signal and the next look.
#[test]
fn a_signal_outlives_the_server() {
    let mut site = Site::new(30);
    site.pass(20);
    site.start(Evidence { look: Span::secs(60), ..quick() });
    site.pass(70);
    let control = site.things.iter().rfind(|thing| thing.version == "1.0.0").unwrap().number;
    let id = site
        .engine
        .fleet()
        .iter()
        .find(|device| device.endpoint.as_str() == format!("urn:dev:{control}"));
    let id = id.unwrap().id;
    assert_eq!(site.engine.signal(id, site.now), Ok(1));
    let receipt = site.engine.receipt();
    let batch = site.engine.poll_batch().unwrap();
    assert!(batch.id <= receipt, "the answer waits for it");
    site.records.extend(batch.records);
    site.restart();
    assert_eq!(site.events(HealthEventKind::Signal), 0, "in no look yet");
    site.pass(80);
    assert_eq!(site.events(HealthEventKind::Signal), 1);
    site.restart();
    site.pass(80);
    assert_eq!(site.events(HealthEventKind::Signal), 1, "and once");
    assert_eq!(site.engine.signal(id, site.now), Ok(0));
}

/// A device that does not call any more is asked at its last address before it counts as silent.
#[test]
fn a_silent_device_is_asked_where_it_was_last() {
    let silent = |calls, hears, make| {
        let mut site = Site::new(20);
        site.pass(20);
        site.start(Evidence { holdback: Rate::percent(50), ..quick() });
        site.pass(60);
        let quiet = site.things.iter().rposition(|thing| thing.version == "1.0.0").unwrap();
        let thing = &mut site.things[quiet];
        (thing.calls, thing.hears, thing.make) = (calls, hears, make);
        site.pass(100);
        let name = format!("urn:dev:{quiet}");
        let known = site.engine.fleet().iter().find(|device| device.endpoint.as_str() == name);
        let away = known.unwrap().presence == model::Presence::Offline;
        let asked = site.engine.statistics().silences_probed > 0;
        (site.events(HealthEventKind::Silence), asked, away)
    };
    assert_eq!(silent(false, true, "ACME"), (0, true, true), "alive, and not registered");
    assert_eq!(silent(false, false, "ACME"), (1, true, true), "not there");
    assert_eq!(silent(false, true, "Other"), (1, true, true), "somebody else is there");
    assert_eq!(silent(true, true, "ACME"), (0, false, false), "who calls is not asked");
}
