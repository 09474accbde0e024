use proptest::prelude::*;

use super::*;
use crate::LwM2mVersion;

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn peer(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

fn device(name: &str, lifetime_s: u32) -> RegisterRequest {
    let queries = [format!("ep={name}"), format!("lt={lifetime_s}"), "lwm2m=1.1".to_owned()];
    RegisterRequest::from_parts(queries.iter().map(String::as_str), "</1/0>,</3/0>").unwrap()
}

fn registry() -> Registry {
    Registry::new(RegistryConfig::default(), 0x5f)
}

fn expired(registry: &mut Registry) -> Vec<String> {
    std::iter::from_fn(|| registry.poll_event())
        .map(|RegistryEvent::Expired(registration)| registration.endpoint().to_string())
        .collect()
}

/// LwM2M 1.1 TS core, sections 6.2.1 to 6.2.3.
#[test]
fn life_of_a_registration() {
    let mut registry = registry();
    let first = registry.register(device("a", 60), peer(1), at(0)).unwrap();
    assert_eq!(first.replaced, None);
    assert_eq!(first.id.location(), ["rd", "5f-1"]);
    assert_eq!(registry.poll_timeout(), Some(at(60)));
    assert_eq!(registry.by_endpoint("a").unwrap().request.version, LwM2mVersion::V1_1);
    assert_eq!(registry.by_peer(peer(1)).unwrap().id, first.id);

    let updated = registry.update(first.id, UpdateRequest::default(), peer(1), at(50)).unwrap();
    assert_eq!(updated, Updated { moved_from: None, objects_changed: false });
    assert_eq!(registry.poll_timeout(), Some(at(110)));

    let request = UpdateRequest { lifetime_s: Some(10), ..Default::default() };
    let updated = registry.update(first.id, request, peer(2), at(60)).unwrap();
    assert_eq!(updated.moved_from, Some(peer(1)));
    assert_eq!(registry.poll_timeout(), Some(at(70)));
    assert_eq!(registry.by_peer(peer(1)), None);
    assert_eq!(registry.by_peer(peer(2)).unwrap().updated_at, at(60));

    let second = registry.register(device("a", 60), peer(2), at(65)).unwrap();
    assert_eq!(second.replaced.unwrap().id, first.id);
    assert_ne!(second.id, first.id);
    let late = registry.update(first.id, UpdateRequest::default(), peer(2), at(66));
    assert_eq!(late, Err(RegistryRefusal::Unknown(first.id)));
    assert_eq!(late.unwrap_err().code(), Code::NOT_FOUND);

    assert_eq!(registry.deregister(second.id).unwrap().id, second.id);
    assert_eq!(registry.deregister(second.id), None);
    assert!(registry.is_empty());
    assert_eq!((registry.poll_timeout(), registry.poll_event()), (None, None));
    assert_eq!(registry.by_peer(peer(2)), None);
}

#[test]
fn lifetimes_end() {
    let config = RegistryConfig { lifetime_grace_s: 5, ..RegistryConfig::default() };
    let mut registry = Registry::new(config, 1);
    for (name, lifetime_s, port) in [("a", 60, 1), ("b", 30, 2), ("c", 0, 3), ("d", u32::MAX, 4)] {
        registry.register(device(name, lifetime_s), peer(port), at(0)).unwrap();
    }
    assert_eq!(registry.by_endpoint("c").unwrap().expires_at, None);
    registry.handle_timeout(at(34));
    assert_eq!(expired(&mut registry), [""; 0]);
    assert_eq!(registry.poll_timeout(), Some(at(35)));
    registry.handle_timeout(at(35));
    assert_eq!(expired(&mut registry), ["b"]);
    registry.handle_timeout(at(1000));
    assert_eq!(expired(&mut registry), ["a"]);
    assert_eq!(registry.len(), 2);
    registry.handle_timeout(Duration::MAX);
    assert_eq!(expired(&mut registry), ["d"]);
    assert_eq!(registry.poll_timeout(), None);
}

#[test]
fn limits_hold() {
    let mut registry =
        Registry::new(RegistryConfig { registrations_max: 2, ..Default::default() }, 1);
    let a = registry.register(device("a", 60), peer(1), at(0)).unwrap();
    registry.register(device("b", 60), peer(2), at(0)).unwrap();
    let refused = registry.register(device("c", 60), peer(3), at(0)).unwrap_err();
    assert_eq!(refused, RegistryRefusal::Full { registrations_max: 2 });
    assert_eq!(refused.code(), Code::SERVICE_UNAVAILABLE);
    assert_eq!(registry.by_peer(peer(3)), None);
    // Those who are in may come again.
    registry.register(device("a", 60), peer(1), at(1)).unwrap();
    assert_eq!(registry.restore(a.id, device("c", 60), peer(3), at(1)), Err(refused));
    registry.deregister(registry.by_endpoint("a").unwrap().id);
    registry.register(device("c", 60), peer(3), at(2)).unwrap();
}

/// An update of before a restart reaches the same device or nobody.
#[test]
fn restarts() {
    let mut before = registry();
    let a = before.register(device("a", 60), peer(1), at(0)).unwrap().id;
    let b = before.register(device("b", 60), peer(2), at(0)).unwrap().id;
    let kept: Vec<Registration> = before.iter(None).cloned().collect();

    let mut after = Registry::new(RegistryConfig::default(), 0x60);
    // Device b is quicker than the restore.
    let newer = after.register(device("b", 60), peer(2), at(5)).unwrap().id;
    for registration in kept {
        let id = registration.id;
        let restored = after.restore(id, registration.request, registration.peer, at(7));
        assert_eq!(restored.is_ok(), id == a);
    }
    assert_eq!(after.by_id(a).unwrap().expires_at, Some(at(67)));
    assert_eq!(after.by_id(b), None);
    assert_eq!(after.by_endpoint("b").unwrap().id, newer);
    assert_eq!(after.by_peer(peer(2)).unwrap().id, newer);

    // Even with the same epoch, names of kept registrations are not given again.
    let mut same = registry();
    same.restore(b, device("b", 60), peer(2), at(0)).unwrap();
    assert!(same.register(device("c", 60), peer(3), at(0)).unwrap().id > b);
}

#[test]
fn shared_addresses() {
    let mut registry = registry();
    let a = registry.register(device("a", 60), peer(1), at(0)).unwrap().id;
    let b = registry.register(device("b", 60), peer(1), at(1)).unwrap().id;
    assert_eq!(registry.by_peer(peer(1)).unwrap().id, b);
    registry.deregister(a);
    assert_eq!(registry.by_peer(peer(1)).unwrap().id, b);
}

#[test]
fn pages() {
    let mut registry = registry();
    let ids: Vec<RegistrationId> = (0..5)
        .map(|n| registry.register(device(&format!("d{n}"), 60), peer(n), at(0)).unwrap().id)
        .collect();
    let page = |after| registry.iter(after).take(2).map(|one| one.id).collect::<Vec<_>>();
    assert_eq!(page(None), ids[..2]);
    assert_eq!(page(Some(ids[1])), ids[2..4]);
    assert_eq!(page(Some(ids[4])), []);
}

#[test]
fn names_of_registrations() {
    let check = |text: &str, expected: Option<(u32, u64)>| {
        let expected = expected.map(|(epoch, serial)| RegistrationId { epoch, serial });
        assert_eq!(text.parse().ok(), expected, "{text}");
        assert_eq!(RegistrationId::of_request(&Request::post(&format!("/rd/{text}"))), expected);
    };
    check("5f-1", Some((0x5f, 1)));
    check("ffffffff-ffffffffffffffff", Some((u32::MAX, u64::MAX)));
    check("5F-1", None);
    check("05f-1", None);
    check("5f-+1", None);
    check("5f-", None);
    check("5f", None);
    check("100000000-1", None);
    for path in ["/rd", "/rd/5f-1/x", "/x/5f-1", "/"] {
        assert_eq!(RegistrationId::of_request(&Request::post(path)), None);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Register { device: u8, port: u16, lifetime_s: u32 },
    Update { nth: usize, port: u16 },
    Deregister { nth: usize },
    Wait { seconds: u64 },
}

fn any_step() -> impl Strategy<Value = Step> {
    let lifetime_s = prop_oneof![Just(0u32), 1u32..40];
    prop_oneof![
        (0u8..6, 0u16..6, lifetime_s).prop_map(|(device, port, lifetime_s)| Step::Register {
            device,
            port,
            lifetime_s
        }),
        (0usize..20, 0u16..6).prop_map(|(nth, port)| Step::Update { nth, port }),
        (0usize..20).prop_map(|nth| Step::Deregister { nth }),
        (0u64..30).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

proptest! {
    /// After every step all indexes agree, and a name belongs to one device for ever.
    #[test]
    fn indexes_agree(steps in prop::collection::vec(any_step(), 0..60)) {
        let config = RegistryConfig { registrations_max: 4, ..Default::default() };
        let mut registry = Registry::new(config, 1);
        let mut given: Vec<(RegistrationId, String)> = Vec::new();
        let mut now = at(0);
        for step in steps {
            match step {
                Step::Register { device: number, port, lifetime_s } => {
                    let name = format!("d{number}");
                    if let Ok(new) = registry.register(device(&name, lifetime_s), peer(port), now) {
                        prop_assert!(given.iter().all(|(id, _)| *id < new.id));
                        given.push((new.id, name));
                    }
                }
                Step::Update { nth, port } => if let Some((id, name)) = given.get(nth) {
                    let done = registry.update(*id, UpdateRequest::default(), peer(port), now);
                    prop_assert_eq!(done.is_ok(), registry.by_id(*id).is_some());
                    if done.is_ok() {
                        prop_assert_eq!(registry.by_id(*id).unwrap().endpoint().as_str(), name);
                        prop_assert_eq!(registry.by_peer(peer(port)).unwrap().id, *id);
                    }
                },
                Step::Deregister { nth } => {
                    given.get(nth).map(|(id, _)| registry.deregister(*id));
                }
                Step::Wait { seconds } => {
                    now += at(seconds);
                    registry.handle_timeout(now);
                    prop_assert!(registry.poll_timeout().is_none_or(|deadline| deadline > now));
                }
            }
            prop_assert!(registry.len() <= 4);
            prop_assert_eq!(registry.endpoints.len(), registry.len());
            prop_assert!(registry.peers.len() <= registry.len());
            let mut deadlines = BTreeSet::new();
            for registration in registry.iter(None) {
                let named = registry.by_endpoint(registration.endpoint().as_str());
                prop_assert_eq!(named.unwrap().id, registration.id);
                deadlines.extend(registration.expires_at.map(|at| (at, registration.id)));
            }
            prop_assert_eq!(&registry.deadlines, &deadlines);
            for port in 0..6 {
                if let Some(found) = registry.by_peer(peer(port)) {
                    prop_assert_eq!(found.peer, peer(port));
                }
            }
        }
    }
}
