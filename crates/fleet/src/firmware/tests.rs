use std::collections::BTreeSet;
use std::time::Duration;

use lwm2m::firmware::OBJECT;
use model::Sha256;

use super::*;

/// A device as a table: it answers asks from its values and changes them as object 5 would.
struct Device {
    version: &'static str,
    state: State,
    result: UpdateResult,
    delivery: Delivery,
    /// What the installation brings: the version after the boot and the result.
    after: (&'static str, UpdateResult),
    /// Asks seen that change the device.
    changes: Vec<String>,
    refuse_update: bool,
    silent: bool,
}

impl Device {
    fn new() -> Self {
        Self {
            version: "1.0.0",
            state: State::Idle,
            result: UpdateResult::Initial,
            delivery: Delivery::Both,
            after: ("1.1.0", UpdateResult::Success),
            changes: Vec::new(),
            refuse_update: false,
            silent: false,
        }
    }

    fn answer(&mut self, ask: &Ask) -> Answer {
        if self.silent {
            return Answer::Silence;
        }
        match ask {
            Ask::Read(path) if *path == firmware::RUNNING_VERSION => {
                Answer::Values(vec![Leaf::new(*path, Value::String(self.version.to_owned()))])
            }
            Ask::Read(_) => Answer::Values(vec![
                Leaf::new(firmware::STATE, self.state.into()),
                Leaf::new(firmware::RESULT, Value::Integer(self.result.number())),
                Leaf::new(firmware::DELIVERY_METHOD, Value::Integer(self.delivery.number())),
            ]),
            Ask::Observe(path) => Answer::Values(vec![Leaf::new(*path, self.state.into())]),
            Ask::Write(path, value) => {
                let empty = value.as_text() == Some("") || *path == firmware::PACKAGE;
                self.changes.push(if empty { "reset".to_owned() } else { format!("uri {path}") });
                self.state = if empty { State::Idle } else { State::Downloading };
                Answer::Done
            }
            Ask::Package(_) => {
                self.changes.push("package".to_owned());
                self.state = State::Downloaded;
                Answer::Done
            }
            Ask::Execute(..) if self.refuse_update => {
                Answer::Refused(coap::Code::METHOD_NOT_ALLOWED)
            }
            Ask::Execute(..) => {
                self.changes.push("update".to_owned());
                self.state = State::Updating;
                Answer::Done
            }
        }
    }
}

fn goal(delivery: model::Delivery) -> FirmwareChange {
    FirmwareChange {
        version: Version::new("1.1.0"),
        sha256: Sha256([7; 32]),
        size: 20_000,
        delivery,
    }
}

fn at(secs: u64) -> Time {
    Time::from_secs(1_000 + secs)
}

/// Drains the outputs, commits every intent at once, and returns the progress told.
fn settle(update: &mut FirmwareUpdate, device: &mut Device, now: Time) -> Vec<Progress> {
    let mut told = Vec::new();
    while let Some(output) = update.poll_output() {
        match output {
            Output::Ask(ask) => {
                let answer = device.answer(&ask);
                update.handle_answer(&ask, &answer, now);
            }
            Output::Intend(step) => update.handle_committed(step, now),
            Output::Progress(progress) => told.push(progress),
        }
    }
    told
}

fn notify_state(update: &mut FirmwareUpdate, device: &Device, now: Time) {
    let leaf = Leaf::new(firmware::STATE, device.state.into());
    update.handle_notification(firmware::STATE, &Answer::Values(vec![leaf]), now);
}

fn kinds(progress: &[Progress]) -> Vec<String> {
    progress
        .iter()
        .map(|progress| match progress {
            Progress::Failed(fault) => format!("failed {}", fault.kind.as_str()),
            Progress::Reported { version, claims_success } => {
                format!(
                    "reported {} {claims_success:?}",
                    version.as_ref().map_or("-", |v| v.as_str())
                )
            }
            other => format!("{other:?}").split(' ').next().unwrap_or_default().to_lowercase(),
        })
        .collect()
}

/// Runs one whole update and returns what was told.
fn run(device: &mut Device, delivery: model::Delivery, intents: &[Step]) -> Vec<String> {
    let standing = Standing { intents: intents.iter().copied().collect::<BTreeSet<_>>() };
    let mut update =
        FirmwareUpdate::new(goal(delivery), "coap://h/fw/07".to_owned(), Pace::default(), standing);
    update.start(at(0));
    let mut told = settle(&mut update, device, at(0));
    if device.state == State::Downloading {
        // The transfer ends: well, or with the result the device was given.
        device.state = if device.result.is_failure() { State::Idle } else { State::Downloaded };
        notify_state(&mut update, device, at(5));
        told.extend(settle(&mut update, device, at(5)));
    }
    if device.state == State::Updating {
        (device.version, device.result) = device.after;
        device.state = State::Idle;
        update.handle_registered(at(20));
        told.extend(settle(&mut update, device, at(20)));
    }
    kinds(&told)
}

#[test]
fn a_pull_goes_through_every_stage_in_order() {
    let mut device = Device::new();
    let told = run(&mut device, model::Delivery::Auto, &[]);
    let expected = [
        "sent",
        "accepted",
        "transferred",
        "sent",
        "claimed",
        "returned",
        "reported 1.1.0 Some(true)",
    ];
    assert_eq!(told, expected);
    assert_eq!(device.changes, [format!("uri {}", firmware::PACKAGE_URI), "update".to_owned()]);
    assert!(OBJECT.is_prefix_of(firmware::PACKAGE_URI));
}

#[test]
fn a_push_only_device_gets_the_package() {
    let mut device = Device { delivery: Delivery::Push, ..Device::new() };
    let told = run(&mut device, model::Delivery::Auto, &[]);
    assert_eq!(device.changes, ["package", "update"]);
    assert_eq!(told.last().unwrap(), "reported 1.1.0 Some(true)");
    let mut device = Device { delivery: Delivery::Push, ..Device::new() };
    assert_eq!(
        run(&mut device, model::Delivery::Pull, &[]).last().unwrap(),
        "failed protocol unsupported"
    );
    assert!(device.changes.is_empty(), "nothing may be sent");
}

#[test]
fn a_device_that_has_the_version_is_left_alone() {
    let mut device = Device { version: "1.1.0", ..Device::new() };
    assert_eq!(run(&mut device, model::Delivery::Auto, &[]), ["unchanged"]);
    assert!(device.changes.is_empty());
}

#[test]
fn a_silent_device_was_not_touched() {
    let mut device = Device { silent: true, ..Device::new() };
    let mut update = FirmwareUpdate::new(
        goal(model::Delivery::Auto),
        String::new(),
        Pace::default(),
        Standing::default(),
    );
    update.start(at(0));
    let mut told = settle(&mut update, &mut device, at(0));
    update.handle_timeout(update.poll_timeout().unwrap());
    told.extend(settle(&mut update, &mut device, at(10)));
    assert_eq!(kinds(&told), ["failed no answer"]);
    assert!(!update.has_touched_device() || device.changes.is_empty());
}

/// LwM2M 1.1 core E.6: what a download result means for the attempt.
#[test]
fn results_become_faults() {
    for (result, fault) in [
        (UpdateResult::NotEnoughFlash, "failed not enough storage"),
        (UpdateResult::OutOfRam, "failed out of memory"),
        (UpdateResult::ConnectionLost, "failed connection lost"),
        (UpdateResult::IntegrityFailure, "failed image damaged"),
        (UpdateResult::UnsupportedType, "failed image type unsupported"),
        (UpdateResult::InvalidUri, "failed address unusable"),
        (UpdateResult::UnsupportedProtocol, "failed protocol unsupported"),
    ] {
        let mut device = Device { result, ..Device::new() };
        let told = run(&mut device, model::Delivery::Pull, &[]);
        assert_eq!(told.last().unwrap(), fault);
    }
}

#[test]
fn a_failed_installation_is_reported_as_such() {
    let mut device = Device { after: ("1.0.0", UpdateResult::UpdateFailed), ..Device::new() };
    let told = run(&mut device, model::Delivery::Auto, &[]);
    assert_eq!(told.last().unwrap(), "reported 1.0.0 Some(false)");
}

#[test]
fn a_foreign_image_is_reset_before_the_transfer() {
    let mut device = Device { state: State::Downloaded, ..Device::new() };
    let told = run(&mut device, model::Delivery::Auto, &[]);
    assert_eq!(device.changes[0], "reset");
    assert_eq!(told.last().unwrap(), "reported 1.1.0 Some(true)");
}

/// I2: after a crash with an intent and no result the first thing sent is a read, and Update is
/// repeated only when the device still shows Downloaded.
#[test]
fn a_restart_reads_back_before_it_acts() {
    let installed = [Step::Transfer, Step::Install];
    let mut device = Device { version: "1.1.0", result: UpdateResult::Success, ..Device::new() };
    let told = run(&mut device, model::Delivery::Auto, &installed);
    assert_eq!(told, ["claimed", "returned", "reported 1.1.0 Some(true)"]);
    assert!(device.changes.is_empty(), "no second flash");

    let mut device = Device { state: State::Updating, ..Device::new() };
    let told = run(&mut device, model::Delivery::Auto, &installed);
    assert_eq!(told, ["claimed", "returned", "reported 1.1.0 Some(true)"]);
    assert!(device.changes.is_empty(), "no second flash");

    let mut device = Device { state: State::Downloaded, ..Device::new() };
    let told = run(&mut device, model::Delivery::Auto, &installed);
    assert_eq!(device.changes, ["update"]);
    assert_eq!(told.last().unwrap(), "reported 1.1.0 Some(true)");

    for (result, claims) in [(UpdateResult::Success, "Some(true)"), (UpdateResult::Initial, "None")]
    {
        let mut device = Device { result, ..Device::new() };
        let told = run(&mut device, model::Delivery::Auto, &installed);
        assert_eq!(told, ["claimed", "returned", &format!("reported 1.0.0 {claims}")]);
        assert!(device.changes.is_empty(), "no second flash of a device that kept its version");
    }

    let mut device = Device { state: State::Downloading, ..Device::new() };
    let told = run(&mut device, model::Delivery::Auto, &[Step::Transfer]);
    assert_eq!(device.changes, ["update"]);
    assert_eq!(told.last().unwrap(), "reported 1.1.0 Some(true)");
}

#[test]
fn silence_after_update_counts_as_claimed_and_is_not_repeated() {
    let mut device = Device::new();
    let mut update = FirmwareUpdate::new(
        goal(model::Delivery::Auto),
        String::new(),
        Pace::default(),
        Standing::default(),
    );
    update.start(at(0));
    settle(&mut update, &mut device, at(0));
    device.state = State::Downloaded;
    notify_state(&mut update, &device, at(5));
    let mut told = Vec::new();
    while let Some(output) = update.poll_output() {
        match output {
            Output::Ask(ask @ Ask::Execute(..)) => {
                update.handle_answer(&ask, &Answer::Silence, at(6));
            }
            Output::Ask(ask) => {
                let answer = device.answer(&ask);
                update.handle_answer(&ask, &answer, at(5));
            }
            Output::Intend(step) => update.handle_committed(step, at(5)),
            Output::Progress(progress) => told.push(progress),
        }
    }
    assert_eq!(kinds(&told), ["transferred", "sent", "claimed"]);
    let deadline = update.poll_timeout().unwrap();
    assert_eq!(deadline.since(at(6)), Duration::from_secs(30));
}

fn fresh(intents: &[Step]) -> FirmwareUpdate {
    let standing = Standing { intents: intents.iter().copied().collect() };
    FirmwareUpdate::new(goal(model::Delivery::Auto), String::new(), Pace::default(), standing)
}

/// Brings a machine to where the image is on the device and the intent to install is put out.
fn until_install_is_intended(device: &mut Device) -> FirmwareUpdate {
    let mut update = fresh(&[]);
    update.start(at(0));
    settle(&mut update, device, at(0));
    device.state = State::Downloaded;
    notify_state(&mut update, device, at(5));
    while let Some(output) = update.poll_output() {
        match output {
            Output::Ask(ask) => {
                let answer = device.answer(&ask);
                update.handle_answer(&ask, &answer, at(5));
            }
            Output::Intend(step) => {
                assert_eq!(step, Step::Install);
                return update;
            }
            Output::Progress(_) => {}
        }
    }
    panic!("nothing was intended");
}

/// I2: a boot between the last read and the durable intent makes that read worthless.
#[test]
fn a_registration_before_the_intent_is_durable_stops_what_was_intended() {
    let mut device = Device::new();
    let mut update = until_install_is_intended(&mut device);
    (device.version, device.state, device.result) = ("1.1.0", State::Idle, UpdateResult::Success);
    update.handle_registered(at(6));
    update.handle_committed(Step::Install, at(7));
    let told = settle(&mut update, &mut device, at(7));
    assert_eq!(kinds(&told), ["unchanged"]);
    assert!(!device.changes.contains(&"update".to_owned()), "{:?}", device.changes);
}

/// I2: Update needs a version that was read and is another than the goal's.
#[test]
fn nothing_is_installed_without_the_version_that_runs() {
    let mut device = Device::new();
    let mut update = fresh(&[Step::Transfer]);
    device.state = State::Downloaded;
    update.start(at(0));
    let mut deaf = |ask: &Ask, update: &mut FirmwareUpdate, heard: bool| {
        let lost = matches!(ask, Ask::Read(path) if *path == firmware::RUNNING_VERSION) && !heard;
        let answer = if lost { Answer::Silence } else { device.answer(ask) };
        update.handle_answer(ask, &answer, at(1));
    };
    let mut intended = Vec::new();
    for heard in [false, false, true] {
        while let Some(output) = update.poll_output() {
            match output {
                Output::Ask(ask) => deaf(&ask, &mut update, heard),
                Output::Intend(step) => intended.push((heard, step)),
                Output::Progress(_) => {}
            }
        }
        update.handle_timeout(at(1_000));
    }
    assert_eq!(intended, [(true, Step::Install)]);
}

/// I20: who runs more than the goal by now keeps it.
#[test]
fn a_newer_device_is_never_taken_back() {
    for state in [State::Idle, State::Downloaded] {
        let mut device = Device { version: "1.2.0", state, ..Device::new() };
        let told = run(&mut device, model::Delivery::Auto, &[Step::Transfer]);
        assert_eq!(told.last().unwrap(), "failed wrong version");
        assert!(device.changes.is_empty(), "{:?}", device.changes);
    }
}

/// I20: the one version that is undone is taken back, and no other.
#[test]
fn the_version_that_is_undone_is_taken_back() {
    let check = |version, expected: &[&str]| {
        let mut device = Device { version, ..Device::new() };
        let mut update = fresh(&[]).undoing(Some(Version::new("1.2.0")));
        update.start(at(0));
        let told = settle(&mut update, &mut device, at(0));
        assert_eq!(kinds(&told).last().map(String::as_str), expected.last().copied());
        assert_eq!(device.changes.is_empty(), expected == ["failed wrong version"], "{version}");
    };
    check("1.2.0", &["accepted"]);
    check("1.3.0", &["failed wrong version"]);
}

/// A server that starts again must not take an installing device for one that does not answer.
#[test]
fn silence_after_a_restart_is_no_fault_while_the_device_may_install() {
    let mut device = Device { silent: true, ..Device::new() };
    let mut update = fresh(&[Step::Transfer, Step::Install]);
    update.start(at(0));
    let mut told = settle(&mut update, &mut device, at(0));
    for second in [100, 200, 300] {
        update.handle_timeout(at(second));
        told.extend(settle(&mut update, &mut device, at(second)));
    }
    assert_eq!(kinds(&told), [""; 0]);
    device = Device { version: "1.1.0", result: UpdateResult::Success, ..Device::new() };
    update.handle_registered(at(400));
    told.extend(settle(&mut update, &mut device, at(400)));
    assert_eq!(kinds(&told), ["claimed", "returned", "reported 1.1.0 Some(true)"]);
}

/// A device may register again for other reasons than a boot, before Update reaches it.
#[test]
fn a_device_that_returns_with_the_image_still_waiting_is_told_again_once() {
    let mut device = Device::new();
    let mut update = until_install_is_intended(&mut device);
    update.handle_committed(Step::Install, at(6));
    // The order and everything after it is lost with the old registration.
    while update.poll_output().is_some() {}
    update.handle_registered(at(20));
    let told = settle(&mut update, &mut device, at(20));
    assert_eq!(kinds(&told), ["returned", "transferred", "sent", "claimed"]);
    assert_eq!(device.changes.last().unwrap(), "update");
    device.state = State::Downloaded;
    update.handle_registered(at(40));
    let told = settle(&mut update, &mut device, at(40));
    assert_eq!(kinds(&told), ["returned", "reported 1.0.0 None"]);
}

#[test]
fn looks_do_not_pile_up_behind_a_long_push() {
    let mut device = Device { delivery: Delivery::Push, ..Device::new() };
    let mut update = fresh(&[]);
    update.start(at(0));
    let mut open = Vec::new();
    for second in 0..100 {
        update.handle_timeout(at(second * 10));
        while let Some(output) = update.poll_output() {
            match output {
                Output::Ask(ask) if matches!(ask, Ask::Package(_)) || !open.is_empty() => {
                    open.push(ask);
                }
                Output::Ask(ask) => {
                    let answer = device.answer(&ask);
                    update.handle_answer(&ask, &answer, at(second * 10));
                }
                Output::Intend(step) => update.handle_committed(step, at(second * 10)),
                Output::Progress(_) => {}
            }
        }
    }
    assert!(open.len() <= 5, "{} asks wait", open.len());
}

/// I2: the order to install may be given again when a later look still shows Downloaded and the
/// old version, as when a sleeping device never heard it.
#[test]
fn an_order_that_never_arrived_is_given_again_after_a_look() {
    let mut device = Device { delivery: Delivery::Push, ..Device::new() };
    let goal = goal(model::Delivery::Auto);
    let mut update = FirmwareUpdate::new(goal, String::new(), Pace::default(), Standing::default());
    update.start(at(0));
    let mut orders = 0;
    for second in 0..120 {
        let now = at(second);
        if update.poll_timeout().is_some_and(|due| due <= now) {
            update.handle_timeout(now);
        }
        while let Some(output) = update.poll_output() {
            match output {
                Output::Ask(ask @ Ask::Execute(..)) => {
                    orders += 1;
                    let answer = if orders == 1 { Answer::Silence } else { device.answer(&ask) };
                    update.handle_answer(&ask, &answer, now);
                }
                Output::Ask(ask) => {
                    let answer = device.answer(&ask);
                    update.handle_answer(&ask, &answer, now);
                }
                Output::Intend(step) => update.handle_committed(step, now),
                Output::Progress(_) => {}
            }
        }
    }
    assert_eq!((orders, device.state), (2, State::Updating));
}

/// E.6: Update answered 4.05 has no effect. Once it may have come too early; a device that refuses
/// again refuses, unless the look after it shows that it installs.
#[test]
fn a_device_that_refuses_to_install_twice_is_not_asked_for_ever() {
    let check = |refusals: u32, installs_all_the_same: bool, orders: u32, expected: &str| {
        let mut device = Device { refuse_update: true, ..Device::new() };
        let mut update = until_install_is_intended(&mut device);
        update.handle_committed(Step::Install, at(10));
        let (mut seen, mut told) = (0, Vec::new());
        for second in 10..300 {
            let now = at(second);
            if update.poll_timeout().is_some_and(|due| due <= now) {
                update.handle_timeout(now);
            }
            while let Some(output) = update.poll_output() {
                match output {
                    Output::Ask(ask) => {
                        seen += u32::from(matches!(ask, Ask::Execute(..)));
                        device.refuse_update = seen <= refusals;
                        if matches!(ask, Ask::Execute(..)) && installs_all_the_same {
                            device.state = State::Updating;
                        }
                        update.handle_sent(&ask, now);
                        update.handle_answer(&ask, &device.answer(&ask), now);
                    }
                    Output::Intend(step) => update.handle_committed(step, now),
                    Output::Progress(progress) => told.push(progress),
                }
            }
        }
        assert_eq!(seen, orders, "{refusals} refusals");
        let told = kinds(&told);
        assert_eq!(told.last().map(String::as_str), Some(expected), "{refusals}: {told:?}");
    };
    check(1, false, 2, "claimed");
    check(2, false, 2, "failed request refused");
    check(9, false, 2, "failed request refused");
    check(9, true, 1, "claimed");
}

/// A device that fell asleep in the middle of a push is idle when it wakes: the push begins again,
/// a few times, instead of being waited for until the transfer counts as stalled.
#[test]
fn a_transfer_that_never_arrived_is_given_again_after_a_look() {
    let check = |delivery, silent: u32, orders_expected: u32, state: State| {
        let mut device = Device { delivery, ..Device::new() };
        let goal = goal(model::Delivery::Auto);
        let mut update =
            FirmwareUpdate::new(goal, "coap://x/1".into(), Pace::default(), Standing::default());
        update.start(at(0));
        let (mut orders, mut intents) = (0, 0);
        for second in 0..200 {
            let now = at(second);
            if update.poll_timeout().is_some_and(|due| due <= now) {
                update.handle_timeout(now);
            }
            while let Some(output) = update.poll_output() {
                match output {
                    Output::Ask(ask @ (Ask::Write(..) | Ask::Package(_))) => {
                        orders += 1;
                        let heard = orders > silent;
                        let answer = if heard { device.answer(&ask) } else { Answer::Silence };
                        update.handle_answer(&ask, &answer, now);
                    }
                    Output::Ask(Ask::Execute(..)) => {}
                    Output::Ask(ask) => {
                        let answer = device.answer(&ask);
                        update.handle_answer(&ask, &answer, now);
                    }
                    Output::Intend(step) => {
                        intents += u32::from(step == Step::Transfer);
                        update.handle_committed(step, now);
                    }
                    Output::Progress(_) => {}
                }
            }
        }
        assert_eq!((orders, intents, device.state), (orders_expected, orders, state));
    };
    check(Delivery::Push, 1, 2, State::Downloaded);
    check(Delivery::Push, 4, 5, State::Downloaded);
    check(Delivery::Pull, 1, 2, State::Downloading);
    check(Delivery::Push, u32::MAX, 1 + REPEATS_MAX, State::Idle);
}

/// A guarded value that cannot be read holds nothing up, and one that is not answered is not
/// asked again.
#[test]
fn guarded_values_that_cannot_be_read_stall_nothing() {
    let guards = ["/3303/0/5700", "/3304/0/5700"].map(|path| path.to_owned().try_into().unwrap());
    for answer in [Answer::Silence, Answer::Refused(coap::Code::NOT_FOUND)] {
        let mut device = Device::new();
        let mut update = fresh(&[]).guarding(&guards);
        update.start(at(0));
        let mut asked = 0;
        let mut settle = |update: &mut FirmwareUpdate, device: &mut Device, now: Time| {
            let mut told = Vec::new();
            while let Some(output) = update.poll_output() {
                match output {
                    Output::Ask(Ask::Read(path))
                        if path.object_id() != Some(3) && path.object_id() != Some(5) =>
                    {
                        asked += 1;
                        update.handle_answer(&Ask::Read(path), &answer, now);
                    }
                    Output::Ask(ask) => {
                        let answer = device.answer(&ask);
                        update.handle_answer(&ask, &answer, now);
                    }
                    Output::Intend(step) => update.handle_committed(step, now),
                    Output::Progress(progress) => told.push(progress),
                }
            }
            kinds(&told)
        };
        assert_eq!(settle(&mut update, &mut device, at(0)), ["sent", "accepted"]);
        device.state = State::Downloaded;
        notify_state(&mut update, &device, at(5));
        settle(&mut update, &mut device, at(5));
        (device.version, device.state) = ("1.1.0", State::Idle);
        update.handle_registered(at(20));
        assert_eq!(settle(&mut update, &mut device, at(20)).last().unwrap(), "reported 1.1.0 None");
        assert_eq!(asked, if answer == Answer::Silence { 2 } else { 4 });
    }
}

/// An order that could not leave was not given: it is due again after another look (I2).
#[test]
fn an_order_that_could_not_leave_is_no_claim() {
    let mut device = Device::new();
    let mut update = until_install_is_intended(&mut device);
    update.handle_committed(Step::Install, at(6));
    let mut told = Vec::new();
    while let Some(output) = update.poll_output() {
        match output {
            Output::Ask(ask) => update.handle_answer(&ask, &Answer::Unsent, at(6)),
            Output::Intend(_) => {}
            Output::Progress(progress) => told.push(progress),
        }
    }
    assert_eq!(kinds(&told), [""; 0]);
    update.handle_contact(at(3_000));
    update.handle_timeout(at(3_000));
    let told = settle(&mut update, &mut device, at(3_000));
    assert_eq!(kinds(&told), ["sent", "claimed"]);
    assert_eq!(device.changes.last().unwrap(), "update");
}

/// A device that is away is no device that does not answer, unless it was there when asked.
#[test]
fn who_is_away_at_the_first_look_is_not_silent() {
    let check = |answers: &[Answer], expected: &[&str]| {
        let mut update = fresh(&[]);
        update.start(at(0));
        let mut told = Vec::new();
        for (second, answer) in answers.iter().enumerate() {
            let now = at(100 * second as u64);
            update.handle_timeout(now);
            while let Some(output) = update.poll_output() {
                match output {
                    Output::Ask(ask) => update.handle_answer(&ask, answer, now),
                    Output::Intend(_) => panic!("intended"),
                    Output::Progress(progress) => told.push(progress),
                }
            }
        }
        told.dedup();
        assert_eq!(kinds(&told), expected, "{answers:?}");
    };
    check(&[Answer::Unsent, Answer::Unsent, Answer::Unsent], &["failed away"]);
    check(&[Answer::Silence, Answer::Unsent], &["failed no answer"]);
    check(&[Answer::Silence, Answer::Silence], &["failed no answer"]);
}

/// LwM2M 1.1 core E.6, result 11: the device puts the installation off, which may pass.
#[test]
fn a_deferred_installation_may_be_tried_again() {
    let mut device = Device::new();
    let mut update = until_install_is_intended(&mut device);
    update.handle_committed(Step::Install, at(6));
    settle(&mut update, &mut device, at(6));
    (device.state, device.result) = (State::Downloaded, UpdateResult::Deferred);
    notify_state(&mut update, &device, at(8));
    assert_eq!(kinds(&settle(&mut update, &mut device, at(8))), ["failed installation deferred"]);
    // The next try orders again what waits on the device.
    let mut update = fresh(&[Step::Transfer]);
    update.start(at(100));
    settle(&mut update, &mut device, at(100));
    assert_eq!(device.changes.iter().filter(|change| *change == "update").count(), 2);
}
